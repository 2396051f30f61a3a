"""Calls at the gate, in virtual time: slots, waiting, and what is told to who gets none."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import suppress
from dataclasses import dataclass, field

import pytest
from dispatch_lab import Answered, Lab, ListProvider, answered, failed

from directlane import (
    AttemptsError,
    CallSettings,
    ClosedError,
    DeadlineError,
    Endpoint,
    InvalidRequestError,
    NoEndpointError,
    Outcome,
    Phase,
    QueueFullError,
    Reply,
    RoutePlan,
    Wire,
)
from directlane.balancers.consistent_hash import ConsistentHash
from directlane.core.dispatch.call import GO_ON, HEDGE_DUE, Attempt, Call, Effect, Finished, Queue, Sent, Wait
from directlane.core.dispatch.gate import SlotGate


def lab_of(*hosts: str, per_endpoint: int = 1, queue: int = 64, **settings: object) -> Lab:
    slots = {"per_endpoint": per_endpoint, "queue": queue}
    endpoints = tuple(Endpoint(host, 80, id=host) for host in hosts)
    plan = RoutePlan("only", ListProvider(endpoints=endpoints))
    return Lab([plan], CallSettings.model_validate({"slots": slots, **settings}))


def gate_of(lab: Lab) -> SlotGate:
    assert lab.dispatcher.gate is not None
    return lab.dispatcher.gate


@dataclass
class Flow:
    """One call that is driven by hand, step by step."""

    lab: Lab
    call: Call
    flow: Generator[Effect, Sent, Reply] = field(init=False)
    effect: Effect = field(init=False)
    reply: Reply | None = None

    def __post_init__(self) -> None:
        self.flow = self.lab.dispatcher.dispatch(self.call)
        self.effect = next(self.flow)

    @property
    def endpoint(self) -> str:
        assert isinstance(self.effect, Attempt), f"it has no endpoint: {self.effect}"
        return self.effect.member.endpoint.id

    def send(self, what: Answered | Finished | None) -> None:
        try:
            self.effect = self.flow.send(what.outcome if isinstance(what, Answered) else what)
        except StopIteration as end:
            self.reply = end.value

    def skip_pauses(self) -> None:
        while isinstance(self.effect, Wait) and self.reply is None:
            self.lab.clock.now += self.effect.seconds
            self.send(None)


def begin(lab: Lab, *, timeout: float = 30.0, key: bytes | None = None, is_streamed: bool = False) -> Flow:
    call = lab.call(timeout=timeout, is_streamed=is_streamed)
    call.key = key
    return Flow(lab, call)


def test_without_slots_there_is_no_gate() -> None:
    lab = Lab.of("a")
    assert lab.dispatcher.gate is None
    flows = [begin(lab) for _ in range(100)]
    assert {flow.endpoint for flow in flows} == {"a"}


def test_r8_calls_wait_for_a_slot_and_never_exceed_them() -> None:
    lab = lab_of("a", "b", per_endpoint=2)
    running = [begin(lab) for _ in range(4)]
    assert [flow.endpoint for flow in running] == ["a", "a", "b", "b"]
    waiting = begin(lab)
    assert isinstance(waiting.effect, Queue)
    assert lab.open_calls() == 4
    lab.clock.now += 2
    running[2].send(answered())
    assert gate_of(lab).view().waiting == 0, "bound when the slot frees, before it has woken up"
    waiting.send(None)
    assert (waiting.endpoint, waiting.call.queued) == ("b", 2.0)
    waiting.send(answered())
    assert waiting.reply is not None


def test_a_deadline_that_passes_in_the_queue_is_told_and_leaves_no_trace() -> None:
    lab = lab_of("a")
    running, waiting = begin(lab), begin(lab, timeout=2)
    assert isinstance(waiting.effect, Queue)
    assert waiting.effect.timeout == 2.0
    lab.clock.now += 2
    with pytest.raises(DeadlineError) as caught:
        waiting.send(None)
    assert caught.value.queued == 2.0
    assert (caught.value.attempts, caught.value.may_have_run) == ((), False)
    assert str(caught.value) == (
        "service 'svc': no slot was free for the call within 2s (1 slot in use, 0 calls waiting)\n"
        "Next: make fewer calls at once, or add instances. If the instances can take more, allow it with "
        "`slots.per_endpoint`."
    )
    running.send(answered())
    assert (lab.open_calls(), gate_of(lab).view().used, gate_of(lab).view().waiting) == (0, 0, 0)


def test_a_full_queue_refuses_at_once() -> None:
    lab = lab_of("a", queue=1)
    _, waiting = begin(lab), begin(lab)
    assert isinstance(waiting.effect, Queue)
    with pytest.raises(QueueFullError, match=r"the queue is full \(1 slot in use, 1 call waiting\)\nNext: ") as caught:
        begin(lab)
    assert (caught.value.attempts, caught.value.elapsed, caught.value.queued) == ((), 0.0, 0.0)


def test_a_slot_that_comes_too_late_goes_to_the_next() -> None:
    lab = lab_of("a")
    running, late, following = begin(lab), begin(lab, timeout=2), begin(lab, timeout=9)
    lab.clock.now += 1.5
    running.send(answered())
    lab.clock.now += 1  # its thread was slow to wake up
    with pytest.raises(DeadlineError):
        late.send(None)
    following.send(None)
    assert following.endpoint == "a"
    assert lab.open_calls() == 1


@pytest.mark.parametrize("is_granted", [False, True])
def test_a_call_that_is_given_up_leaves_the_queue(is_granted: bool) -> None:
    lab = lab_of("a")
    running, given_up, following = begin(lab), begin(lab, timeout=5), begin(lab, timeout=9)
    if is_granted:
        running.send(answered())
    given_up.flow.close()
    if not is_granted:
        running.send(answered())
    following.send(None)
    assert following.endpoint == "a"
    assert (lab.open_calls(), gate_of(lab).view().waiting) == (1, 0)


def test_nobody_to_ask_and_no_time_left_are_told_as_without_slots() -> None:
    with pytest.raises(NoEndpointError):
        begin(lab_of())
    with pytest.raises(DeadlineError, match="before it could start"):
        begin(lab_of("a"), timeout=0)


def test_a_closed_service_ends_the_waiting() -> None:
    lab = lab_of("a")
    _, waiting = begin(lab), begin(lab)
    gate_of(lab).close()
    with pytest.raises(ClosedError):
        waiting.send(None)


def test_a_repeat_waits_for_another_endpoint_before_new_calls_of_the_same_deadline() -> None:
    lab = lab_of("a", "b")
    at_a, at_b, new = begin(lab), begin(lab), begin(lab)
    at_a.send(failed(Phase.WAIT))  # its slot at a goes to the new call
    at_a.skip_pauses()
    assert isinstance(at_a.effect, Queue), "it wants b, where it was not tried"
    later = begin(lab)
    at_b.send(answered())
    at_a.send(None)
    assert at_a.endpoint == "b"
    new.send(None)
    assert new.endpoint == "a"
    assert isinstance(later.effect, Queue)


def test_a_repeat_that_gets_no_slot_ends_with_the_story_so_far() -> None:
    lab = lab_of("a", "b", queue=0)
    first, _ = begin(lab), begin(lab)
    first.send(failed(Phase.WAIT))
    with pytest.raises(AttemptsError, match="no slot was free for another attempt") as caught:
        first.skip_pauses()
    assert len(caught.value.attempts) == 1
    assert gate_of(lab).view().used == 1


def test_the_time_in_the_queue_stands_in_the_story() -> None:
    lab = lab_of("a", attempts=1)
    running, waiting = begin(lab), begin(lab)
    lab.clock.now += 2
    running.send(answered())
    waiting.send(None)
    with pytest.raises(AttemptsError, match="2s of the time in the queue") as caught:
        waiting.send(failed(Phase.WAIT))
    assert caught.value.queued == 2.0
    assert caught.value.attempts[0].started == 2.0


def test_a_stream_holds_its_slot_to_its_end() -> None:
    lab = lab_of("a")
    stream, waiting = begin(lab, is_streamed=True), begin(lab)
    attempt = stream.effect
    assert isinstance(attempt, Attempt)
    stream.send(answered())
    assert stream.reply is not None
    assert gate_of(lab).view().waiting == 1
    attempt.lease.release()
    waiting.send(None)
    assert waiting.endpoint == "a"
    attempt.lease.release()
    assert gate_of(lab).view().used == 1


def test_a_stream_that_began_with_an_error_does_not_wait_with_a_slot_in_its_hand() -> None:
    lab = lab_of("a", "b")
    stream, other = begin(lab, is_streamed=True), begin(lab)
    held = stream.effect
    assert isinstance(held, Attempt)
    stream.send(Answered(Outcome(Phase.DONE, 0.1, reply=Reply(200), fault="the first event is an error")))
    stream.skip_pauses()
    assert stream.reply is not None, "b has no room: the caller gets the answer that there is"
    assert gate_of(lab).view().used == 2
    held.lease.release()
    other.flow.close()
    assert gate_of(lab).view().used == 0


def test_a_request_that_cannot_be_sent_takes_no_slot() -> None:
    provider = ListProvider(endpoints=(Endpoint("a", 80, id="a"),), wires=Wire(pack=lambda body: body))
    lab = Lab([RoutePlan("only", provider)], CallSettings.model_validate({"slots": {"per_endpoint": 1}}))
    call = lab.call()
    call.request.content = iter([b"streamed"])
    with pytest.raises(InvalidRequestError):
        Flow(lab, call)
    assert (lab.open_calls(), gate_of(lab).view().used) == (0, 0)


def test_a_hedge_takes_a_free_slot_or_none() -> None:
    lab = lab_of("a", "b", per_endpoint=1, hedge={"after": 0.1})
    slow = begin(lab)
    first = slow.effect
    assert isinstance(first, Attempt)
    slow.effect = slow.flow.send(HEDGE_DUE)
    assert slow.endpoint == "b"
    other = begin(lab)
    assert isinstance(other.effect, Queue)
    slow.send(Finished(first, answered().outcome))
    other.send(None)
    assert gate_of(lab).view().used == 1, "the winner's and the loser's slots are free again, one is taken"

    slow = begin(lab)
    third = begin(lab)
    assert isinstance(third.effect, Queue)
    assert slow.flow.send(HEDGE_DUE) is GO_ON, "no slot is free"
    assert gate_of(lab).view().waiting == 1


def test_a_key_overflows_to_the_next_endpoint_of_its_order() -> None:
    endpoints = tuple(Endpoint(host, 80, id=host) for host in "abcd")
    settings = CallSettings.model_validate({"slots": {"per_endpoint": 1}})
    lab = Lab([RoutePlan("only", ListProvider(endpoints=endpoints))], settings, balancer=ConsistentHash())
    first, second = begin(lab, key=b"session 7"), begin(lab, key=b"session 7")
    assert first.endpoint != second.endpoint
    first.send(answered())
    assert begin(lab, key=b"session 7").endpoint == first.endpoint


def test_a_full_tier_overflows_into_the_next() -> None:
    providers = [ListProvider(endpoints=(Endpoint(host, 80, id=host),)) for host in "ab"]
    tiers = [RoutePlan(f"tier {tier}", provider, tier=tier) for tier, provider in enumerate(providers)]
    lab = Lab(tiers, CallSettings.model_validate({"slots": {"per_endpoint": 1}}))
    flows = [begin(lab) for _ in range(2)]
    assert [flow.endpoint for flow in flows] == ["a", "b"]


@pytest.mark.parametrize(
    ("end", "limit"),
    [
        (answered(), 11),
        (answered(503), 9),
        (answered(429), 9),
        (failed(Phase.WAIT, timed_out=True), 9),
        (failed(Phase.WAIT), 10),
        (failed(Phase.CONNECT, timed_out=True), 10),
        (answered(500), 10),
        (answered(404), 10),
    ],
)
def test_an_adaptive_limit_learns_from_how_attempts_end(end: Answered, limit: int) -> None:
    lab = Lab.of("a", slots={"per_endpoint": 10, "adaptive": True}, attempts=1)
    flows = [begin(lab) for _ in range(6)]
    with suppress(AttemptsError):
        flows[0].send(end)
    assert gate_of(lab).slots.limit_of("a") == limit


def test_the_gate_moves_to_another_routing_with_all_who_wait() -> None:
    lab, other = lab_of("a"), lab_of("a", "b")
    running, waiting = begin(lab), begin(lab)
    lab.dispatcher.move(other.routing)
    waiting.send(None)
    assert waiting.endpoint == "b", "the slot at a is in use, whichever routing gave it"
    running.send(answered())
    assert gate_of(lab).view().used == 1


def test_a_probe_that_is_given_up_hides_no_slot_from_who_waits() -> None:
    lab = lab_of("a", "b", ejection={"consecutive_failures": 1, "base_time": 1.0}, slow_start=0)
    lab.run(lab.call(), lambda attempt: failed(Phase.WAIT) if attempt.number == 1 else answered())
    lab.clock.now += 2.0
    lab.timers.run_due()
    probing, usual = Flow(lab, lab.call()), Flow(lab, lab.call())
    assert (probing.endpoint, usual.endpoint) == ("a", "b")
    waiting = [Flow(lab, lab.call()), Flow(lab, lab.call())]
    for one in waiting:
        assert isinstance(one.effect, Queue)

    probing.flow.close()  # who gets its slot probes in its place
    usual.send(answered())

    for one in waiting:
        one.send(None)
    assert sorted(one.endpoint for one in waiting) == ["a", "b"]
    for one in waiting:
        one.flow.close()
