"""The choices of one call, in virtual time: every branch of the dispatch, without a socket."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from dispatch_lab import Answered, InTurn, Lab, ListProvider, answered, failed
from hypothesis import given
from hypothesis import strategies as st

from directlane import (
    FAIL,
    REAUTHENTICATE,
    AttemptsError,
    CallSettings,
    DeadlineError,
    Endpoint,
    NoEndpointError,
    Outcome,
    Phase,
    PluginError,
    RoutePlan,
    Verdict,
    back_off,
    http_verdict,
    retry_elsewhere,
)
from directlane.core.dispatch.call import Attempt, Wait
from directlane.core.interfaces.transport import Timeouts


def script(*answers: Answered) -> Callable[[Attempt], Answered]:
    following = iter(answers)
    return lambda _: next(following)


def by_status(verdicts: dict[int, Verdict]) -> Callable[[Outcome], Verdict]:
    return lambda outcome: verdicts.get(outcome.status or 0, FAIL)


def test_first_answer_is_the_reply() -> None:
    lab = Lab.of("a", "b")
    reply = lab.run(lab.call(), script(answered(200, b"yes")))
    assert (reply.content, reply.attempts, lab.asked, lab.waits) == (b"yes", 1, ["a"], [])
    assert lab.open_calls() == 0


@pytest.mark.parametrize("may_repeat", [True, False])
def test_connect_failure_is_tried_elsewhere_whatever_the_call_says(may_repeat: bool) -> None:
    lab = Lab.of("a", "b")
    reply = lab.run(lab.call(may_repeat=may_repeat), script(failed(Phase.CONNECT), answered()))
    assert (reply.attempts, lab.asked) == (2, ["a", "b"])
    assert lab.waits == [0.0], "an endpoint that was not tried needs no pause"


@pytest.mark.parametrize("phase", [Phase.SEND, Phase.WAIT, Phase.STREAM])
def test_what_may_have_run_is_repeated_only_if_the_call_allows_it(phase: Phase) -> None:
    lab = Lab.of("a", "b")
    assert lab.run(lab.call(may_repeat=True), script(failed(phase), answered())).attempts == 2

    with pytest.raises(AttemptsError) as caught:
        lab.run(lab.call(may_repeat=False), script(failed(phase)))
    error = caught.value
    assert error.phase is phase
    assert error.may_have_run
    assert [record.endpoint.id for record in error.attempts] == ["a"]
    assert "repeatable = true" in str(error)
    assert lab.open_calls() == 0


def test_refusal_that_did_not_run_is_tried_elsewhere() -> None:
    lab = Lab.of("a", "b", judge=by_status({450: retry_elsewhere(may_have_run=False)}))
    reply = lab.run(lab.call(may_repeat=False), script(answered(450), answered()))
    assert (reply.status, reply.attempts, lab.asked) == (200, 2, ["a", "b"])


def test_refusal_that_may_have_run_is_the_answer_of_a_call_that_may_not_repeat() -> None:
    lab = Lab.of("a", "b")
    reply = lab.run(lab.call(may_repeat=False), script(answered(503)))
    assert (reply.status, reply.attempts, lab.asked) == (503, 1, ["a"])


def test_back_off_waits_as_told_and_goes_elsewhere() -> None:
    lab = Lab.of("a", "b")
    reply = lab.run(lab.call(), script(answered(429, retry_after="2"), answered()))
    assert (reply.attempts, lab.asked, lab.waits) == (2, ["a", "b"], [2.0])


def test_back_off_without_a_word_is_full_jitter_that_doubles() -> None:
    lab = Lab.of("a", judge=lambda _: back_off(), attempts=8, backoff=0.1, backoff_max=0.4)
    lab.run(lab.call(), lambda _: answered(429))
    bounds = [0.1, 0.2, 0.4, 0.4, 0.4, 0.4, 0.4]
    assert len(lab.waits) == len(bounds)
    assert all(0 <= wait <= bound for wait, bound in zip(lab.waits, bounds, strict=True))
    assert len(set(lab.waits)) == len(bounds), "jitter differs each time"


def test_pause_longer_than_the_deadline_ends_the_call_at_once() -> None:
    lab = Lab.of("a", "b")
    reply = lab.run(lab.call(timeout=5), script(answered(429, retry_after="60")))
    assert (reply.status, lab.waits) == (429, [])


def test_retry_after_that_is_too_long_ends_the_call_at_once() -> None:
    lab = Lab.of("a", "b", retry_after_max=5)
    reply = lab.run(lab.call(), script(answered(429, retry_after="6")))
    assert (reply.status, lab.waits) == (429, [])
    assert lab.run(lab.call(), script(answered(429, retry_after="5"), answered())).attempts == 2


def test_a_single_endpoint_is_asked_again_and_the_error_says_so() -> None:
    lab = Lab.of("a")
    with pytest.raises(AttemptsError, match="there was no other endpoint to ask") as caught:
        lab.run(lab.call(), lambda _: failed(Phase.CONNECT))
    error = caught.value
    assert lab.asked == ["a", "a", "a"]
    assert [endpoint.id for endpoint in error.endpoints] == ["a"]
    first, second, third = (record.started for record in error.attempts)
    assert first == 0.0
    assert second == pytest.approx(0.01 + lab.waits[0])
    assert third == pytest.approx(second + 0.01 + lab.waits[1])
    assert error.elapsed == pytest.approx(third + 0.01)
    assert error.retries_left == 98


def test_tried_endpoints_come_again_only_after_all_others_and_a_pause() -> None:
    lab = Lab.of("a", "b", attempts=4)
    with pytest.raises(AttemptsError):
        lab.run(lab.call(), lambda _: failed(Phase.CONNECT))
    assert lab.asked == ["a", "b", "a", "b"]
    assert lab.waits[0] == 0.0
    assert lab.waits[1] > 0.0
    assert lab.waits[2] == 0.0


def test_attempts_are_limited() -> None:
    lab = Lab.of("a", "b", "c", "d", "e", attempts=3)
    with pytest.raises(AttemptsError) as caught:
        lab.run(lab.call(), lambda _: failed(Phase.CONNECT))
    assert lab.asked == ["a", "b", "c"]
    text = str(caught.value)
    assert "3 attempts" in text
    assert all(host in text for host in "abc")
    assert caught.value.service == "svc"
    assert caught.value.list_age == pytest.approx(0.03)


def test_last_refusal_is_the_answer_when_attempts_are_used_up() -> None:
    lab = Lab.of("a", "b", judge=lambda _: retry_elsewhere(may_have_run=False), attempts=2)
    reply = lab.run(lab.call(), script(answered(450), answered(450, b"last")))
    assert (reply.status, reply.content, reply.attempts) == (450, b"last", 2)


def test_deadline_error_tells_the_story() -> None:
    lab = Lab.of("a", "b", timeout=1, attempt_timeout=0.6)
    with pytest.raises(DeadlineError) as caught:
        lab.run(lab.call(timeout=1), lambda attempt: failed(Phase.WAIT, attempt.timeouts.total, timed_out=True))
    assert lab.asked == ["a", "b"]
    assert "no answer within 1s" in str(caught.value)
    assert [record.elapsed for record in caught.value.attempts] == [pytest.approx(0.6), pytest.approx(0.4)]


def test_timeouts_of_an_attempt_never_exceed_what_is_left() -> None:
    lab = Lab.of("a", "b", connect_timeout=1, attempt_timeout=8)
    seen: list[tuple[float, float]] = []

    def network(attempt: Attempt) -> Answered:
        seen.append((attempt.timeouts.connect, attempt.timeouts.total))
        return failed(Phase.WAIT, 7.5) if len(seen) == 1 else answered()

    lab.run(lab.call(timeout=8), network)
    assert seen[0] == pytest.approx((1, 8))
    assert seen[1] == pytest.approx((0.5, 0.5))


def test_nothing_starts_after_the_deadline() -> None:
    lab = Lab.of("a")
    call = lab.call(timeout=1)
    lab.clock.now += 1
    with pytest.raises(DeadlineError, match="before it could start"):
        lab.run(call, script())
    assert lab.asked == []


@pytest.mark.parametrize(("left", "told"), [(1.0, "1000"), (0.0301, "30"), (0.0002, "1")])
def test_the_instance_is_told_how_many_milliseconds_are_left(left: float, told: str) -> None:
    lab = Lab.of("a", deadline_header="X-Left")
    call = lab.call(timeout=left)
    call.request.headers = (("X-A", "1"), ("x-left", "of the caller"))
    lab.run(call, script(answered()))
    assert lab.requests[0].headers == (("X-A", "1"), ("X-Left", told))


def test_each_attempt_tells_what_is_left_for_it() -> None:
    lab = Lab.of("a", "b", deadline_header="X-Left", attempt_timeout=4)
    lab.run(lab.call(timeout=5), script(failed(Phase.CONNECT, 2), answered()))
    assert [request.headers for request in lab.requests] == [(("X-Left", "4000"),), (("X-Left", "3000"),)]


def test_reauthentication_happens_once() -> None:
    lab = Lab.of("a", judge=by_status({401: REAUTHENTICATE}))
    assert lab.run(lab.call(may_repeat=False), script(answered(401), answered())).status == 200
    assert (lab.reauthentications, lab.asked) == (1, ["a", "a"])

    assert lab.run(lab.call(may_repeat=False), script(answered(401), answered(401))).status == 401
    assert lab.reauthentications == 2


def test_nobody_to_ask_says_why() -> None:
    with pytest.raises(NoEndpointError, match="discovery says that no instance is ready"):
        Lab.of().run(Lab.of().call(), script())
    draining = ListProvider(endpoints=(Endpoint("a", 80, weight=0),))
    lab = Lab([RoutePlan("r", draining)])
    with pytest.raises(NoEndpointError, match=r"r: none of 1 known endpoint may be asked: 1 draining \(weight 0\)"):
        lab.run(lab.call(), script())


def test_nobody_to_ask_names_who_is_ejected_and_who_is_excluded() -> None:
    lab = Lab.of("a", "b", attempts=1)
    for _ in range(2):
        with pytest.raises(AttemptsError):
            lab.run(lab.call(), script(failed(Phase.CONNECT)))
    lab.timers.run_due()  # the new picker
    call = lab.call()
    call.excluded = frozenset({"b"})
    told = (
        r"only: none of 2 known endpoints may be asked: "
        r"1 ejected \(2 connections in a row could not be opened\), 1 excluded by the call"
    )
    with pytest.raises(NoEndpointError, match=told):
        lab.run(call, script())


def test_provider_that_fails_to_classify_is_blamed_and_leaves_no_lease() -> None:
    def broken(outcome: Outcome) -> Verdict:
        raise LookupError("s3cret")

    lab = Lab.of("a", judge=broken)
    with pytest.raises(PluginError, match="provider 'list' failed to classify an answer: LookupError") as caught:
        lab.run(lab.call(), script(answered(500)))
    assert "s3cret" not in str(caught.value)
    assert lab.open_calls() == 0


def test_cancelled_attempt_gives_its_lease_back() -> None:
    lab = Lab.of("a")
    flow = lab.dispatcher.dispatch(lab.call())
    next(flow)
    assert lab.open_calls() == 1
    flow.close()
    assert lab.open_calls() == 0
    [member] = lab.live[0].pool.members()
    assert member.load.figures().cancelled == 1


def test_streamed_call_keeps_its_lease_for_the_shell() -> None:
    lab = Lab.of("a", "b")
    call = lab.call(is_streamed=True)
    lab.run(call, script(failed(Phase.CONNECT), answered()))
    assert lab.open_calls() == 1
    assert call.attempt is not None
    assert call.attempt.member.endpoint.id == "b"
    call.attempt.lease.release()
    call.attempt.lease.release()
    assert lab.open_calls() == 0


def begun_badly() -> Answered:
    result = answered(200)
    result.outcome.fault = "the first event of the stream is an error"
    return result


def test_a_stream_that_begins_with_an_error_goes_elsewhere() -> None:
    lab = Lab.of("a", "b")
    call = lab.call(is_streamed=True)
    reply = lab.run(call, script(begun_badly(), answered()))
    assert (reply.attempts, lab.asked, lab.open_calls()) == (2, ["a", "b"], 1)
    assert [(record.status, record.error) for record in call.records] == [
        (200, "the first event of the stream is an error")
    ]
    assert call.attempt is not None
    call.attempt.lease.release()
    assert lab.open_calls() == 0


@pytest.mark.parametrize("may_repeat", [True, False])
def test_a_stream_that_begins_with_an_error_keeps_its_lease_if_it_is_the_answer(may_repeat: bool) -> None:
    lab = Lab.of("a", "b", attempts=2)
    call = lab.call(is_streamed=True, may_repeat=may_repeat)
    reply = lab.run(call, lambda _: begun_badly())
    assert (reply.status, reply.attempts, lab.open_calls()) == (200, 2 if may_repeat else 1, 1)
    assert call.attempt is not None
    call.attempt.lease.release()
    assert lab.open_calls() == 0


def test_a_stream_that_began_with_an_error_is_let_go_if_the_caller_gives_up() -> None:
    lab = Lab.of("a", "b")
    flow = lab.dispatcher.dispatch(lab.call(is_streamed=True))
    next(flow)
    assert isinstance(flow.send(begun_badly().outcome), Wait)
    assert lab.open_calls() == 1
    flow.close()
    assert lab.open_calls() == 0


def test_limits_of_a_streamed_call() -> None:
    lab = Lab.of("a", timeout=30, first_event_timeout=5, gap_timeout=60)
    seen: list[Timeouts] = []

    def network(attempt: Attempt) -> Answered:
        seen.append(attempt.timeouts)
        return answered()

    lab.run(lab.call(is_streamed=True), network)
    lab.run(lab.call(), network)
    assert [(limits.total, limits.gap) for limits in seen] == [(5, 60), (30, None)]
    lab = Lab.of("a", attempt_timeout=8)
    lab.run(lab.call(is_streamed=True), network)
    assert (seen[-1].total, seen[-1].gap) == (8, 8), "as it was before there were settings for it"


def test_streamed_body_is_never_sent_twice() -> None:
    lab = Lab.of("a", "b")
    call = lab.call()
    call.request = type(call.request)("POST", "/", (), iter([b"once"]))
    with pytest.raises(AttemptsError, match="streamed body can be sent once only"):
        lab.run(call, script(failed(Phase.WAIT)))
    # ... but before a connection stands nobody has touched it.
    lab = Lab.of("a", "b")
    call.started_at, call.deadline = lab.clock.now, lab.clock.now + 30
    assert lab.run(call, script(failed(Phase.CONNECT), answered())).attempts == 2


def test_route_of_a_higher_tier_is_used_when_the_lower_has_nobody() -> None:
    first = ListProvider(endpoints=(Endpoint("a", 80, id="a"),))
    second = ListProvider(endpoints=(Endpoint("z", 80, id="z"),))
    lab = Lab([RoutePlan("second", second, tier=1), RoutePlan("first", first, tier=0)], balancer=InTurn())
    assert lab.run(lab.call(), script(answered())).attempts == 1
    assert lab.asked == ["a"]
    lab.run(lab.call(), script(failed(Phase.CONNECT), answered()))
    assert lab.asked == ["a", "a", "z"], "the next tier takes over when the first has nobody left to try"

    empty = Lab([RoutePlan("first", ListProvider(), tier=0), RoutePlan("second", second, tier=1)])
    empty.run(empty.call(), script(answered()))
    assert empty.asked == ["z"]


def test_routes_of_one_tier_share_by_weight() -> None:
    """10,000 calls, seed 1: the share of 3 in 4 has a standard deviation of 43, so 5 sigma is 217."""
    routes = [
        RoutePlan("a", ListProvider(endpoints=(Endpoint("a", 80, id="a"),)), weight=3),
        RoutePlan("b", ListProvider(endpoints=(Endpoint("b", 80, id="b"),)), weight=1),
        RoutePlan("c", ListProvider(endpoints=(Endpoint("c", 80, id="c"),)), weight=0),
    ]
    lab = Lab(routes)
    for _ in range(10_000):
        lab.run(lab.call(), lambda _: answered())
    assert abs(lab.asked.count("a") - 7500) < 217
    assert lab.asked.count("c") == 0
    assert lab.asked.count("a") + lab.asked.count("b") == 10_000


def test_statistics_count_what_happened() -> None:
    lab = Lab.of("a", "b", judge=http_verdict)
    lab.run(lab.call(), script(failed(Phase.CONNECT), answered()))
    lab.run(lab.call(), script(answered(503), answered()))
    views = {view.endpoint.id: view for route in lab.live for view in route.views()}
    assert (views["a"].attempts, views["a"].errors, views["a"].refusals) == (2, 1, 1)
    assert (views["b"].attempts, views["b"].errors, views["b"].last_error) == (2, 0, None)


PHASES = st.sampled_from([Phase.CONNECT, Phase.SEND, Phase.WAIT, Phase.STREAM])
ANSWERS = st.one_of(
    st.builds(failed, PHASES, st.floats(0, 3)),
    st.builds(answered, st.sampled_from([200, 204, 400, 429, 450, 500, 502, 503]), seconds=st.floats(0, 3)),
)


@given(
    st.lists(ANSWERS, min_size=20, max_size=20),
    st.integers(0, 5),
    st.booleans(),
    st.integers(1, 6),
    st.floats(0.01, 5),
)
def test_laws_of_every_call(
    answers: list[Answered], hosts: int, may_repeat: bool, attempts: int, timeout: float
) -> None:
    """Whatever the network does: one end, no lease left, no attempt after the deadline, no forbidden repeat."""
    lab = Lab(
        [RoutePlan("r", ListProvider(endpoints=tuple(Endpoint(f"h{i}", 80, id=str(i)) for i in range(hosts))))],
        CallSettings(attempts=attempts, timeout=timeout),
    )
    call = lab.call(may_repeat=may_repeat, timeout=timeout)
    history: list[Answered] = []

    def network(attempt: Attempt) -> Answered:
        assert lab.clock.now < call.deadline, "an attempt started after the deadline"
        assert lab.open_calls() == 1
        assert attempt.timeouts.total <= call.deadline - lab.clock.now + 1e-9
        if not may_repeat:
            assert not any(past.outcome.phase.may_have_run and past.outcome.error for past in history)
        history.append(answers[len(history)])
        return history[-1]

    try:
        reply = lab.run(call, network)
    except NoEndpointError:
        assert hosts == 0
    except (AttemptsError, DeadlineError) as error:
        told = len(error.attempts)
        assert told == len(history)
        assert history[-1].outcome.error is not None
    else:
        assert reply.attempts == len(history)
        assert reply.status == history[-1].outcome.status
    assert len(history) <= attempts
    assert lab.open_calls() == 0
    first_round = lab.asked[:hosts]
    assert len(first_round) == len(set(first_round)), "every endpoint is tried once before one is tried twice"


def test_who_is_new_on_the_list_comes_before_who_was_tried() -> None:
    lab = Lab.of("a", backoff=0.5)
    pool = lab.live[0].pool

    def network(attempt: Attempt) -> Answered:
        if attempt.number == 1:
            return failed(Phase.CONNECT)
        return answered()

    flow = lab.dispatcher.dispatch(lab.call())
    first = next(flow)
    assert isinstance(first, Attempt)
    assert isinstance(flow.send(network(first).outcome), Wait)
    pool.update([Endpoint("a", 80, id="a"), Endpoint("b", 80, id="b")])

    second = flow.send(None)

    assert isinstance(second, Attempt)
    assert second.member.endpoint.id == "b"
    flow.close()


def test_the_right_to_probe_is_not_held_during_a_pause() -> None:
    lab = Lab.of("a", "b", ejection={"consecutive_failures": 1, "base_time": 1.0}, slow_start=0)
    lab.run(lab.call(), lambda attempt: failed(Phase.WAIT) if attempt.number == 1 else answered())
    flow = lab.dispatcher.dispatch(lab.call())
    first = next(flow)
    assert isinstance(first, Attempt)
    assert first.member.endpoint.id == "b"
    lab.clock.now += 2.0
    lab.timers.run_due()  # from now on one call may find out about `a`
    # Only `a` is left for the second attempt; but the pause comes first, and another call may be quicker.
    assert isinstance(flow.send(answered(429, retry_after="3").outcome), Wait)

    other = lab.dispatcher.dispatch(lab.call())
    probing = next(other)

    assert isinstance(probing, Attempt)
    assert probing.member.endpoint.id == "a"
    other.close()
    second = flow.send(None)
    assert isinstance(second, Attempt)
    assert second.member.endpoint.id == "a"
    flow.close()


def test_an_answer_that_nobody_can_judge_gives_the_probe_back() -> None:
    def judge(outcome: Outcome) -> Verdict:
        if outcome.status == 418:
            raise ZeroDivisionError
        return http_verdict(outcome)

    lab = Lab.of("a", "b", judge=judge, ejection={"consecutive_failures": 1, "base_time": 1.0}, slow_start=0)
    lab.run(lab.call(), lambda attempt: failed(Phase.WAIT) if attempt.number == 1 else answered())
    lab.clock.now += 2.0
    lab.timers.run_due()

    with pytest.raises(PluginError) as caught:
        lab.run(lab.call(), lambda attempt: answered(418))

    assert lab.asked[-1] == "a"
    # Also while somebody keeps the error, and with it the frames that it came through.
    assert caught.value is not None
    lab.run(lab.call(), lambda attempt: answered())
    assert lab.asked[-1] == "a"
