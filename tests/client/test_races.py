"""The threads of a race, and the ways in which it can end."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar

import pytest
from client_lab import Fleet, soon
from dispatch_lab import Lab

from directlane import Client, Outcome, Phase, Reply
from directlane.core.client.races import Races
from directlane.core.dispatch.call import Attempt
from directlane.core.emulation.server import Ending, ServerReply

GOOD = Outcome(Phase.DONE, 0.0, Reply(200))


def attempt() -> Attempt:
    lab = Lab.of("a")
    effect = next(lab.dispatcher.dispatch(lab.call()))
    assert isinstance(effect, Attempt)
    return effect


def test_threads_are_taken_in_twos_and_given_back() -> None:
    races = Races(5)
    first, second = races.enter(), races.enter()
    assert first is not None
    assert second is not None
    assert races.enter() is None, "one thread is left, a race takes two"
    with first:
        pass
    with second:
        second.start(attempt(), lambda: GOOD)
        assert second.ended() is not None
    assert soon(lambda: races.enter() is not None)
    races.close()
    races.close()
    assert races.enter() is None


def test_what_an_attempt_raises_is_raised_where_the_race_is_run() -> None:
    races = Races(2)
    race = races.enter()
    assert race is not None

    def broken() -> Outcome:
        raise LookupError("from the thread")

    with race:
        race.start(attempt(), broken)
        with pytest.raises(LookupError, match="from the thread"):
            race.ended()
    races.close()


def test_the_callers_context_goes_along() -> None:
    trace: ContextVar[str] = ContextVar("trace")
    races, seen = Races(2), list[str]()
    race = races.enter()
    assert race is not None

    def perform() -> Outcome:
        seen.append(trace.get())
        return GOOD

    trace.set("of the caller")
    with race:
        race.start(attempt(), perform)
        race.ended()
    assert seen == ["of the caller"]
    races.close()


def test_the_loser_is_told_to_end_and_the_winner_is_not() -> None:
    races = Races(2)
    race = races.enter()
    assert race is not None
    winner, loser, gate = attempt(), attempt(), threading.Event()

    def slow() -> Outcome:
        assert loser.timeouts.abort is not None
        loser.timeouts.abort.watch(gate.set)
        gate.wait()
        return GOOD

    with race:
        race.start(loser, slow)
        assert race.ended(0.001) is None
        race.start(winner, lambda: GOOD)
        ended = race.ended()
        assert ended is not None
        assert ended[0] is winner
        race.keep(winner)
    assert gate.is_set()
    assert winner.timeouts.abort is not None
    assert winner.timeouts.abort.forget()
    assert soon(lambda: races.enter() is not None), "both threads are free again"
    races.close()


def test_many_threads_race_and_each_gets_its_own_answer(fleet: Fleet) -> None:
    """Losers are ended at any moment of their life: none leaves a connection that is shut, or holds a late answer."""
    for server in fleet.servers:
        server.behaviour = lambda request: ServerReply(content=request.content)
    data = fleet.data(hedge={"after": "1ms", "threads": 8}, repeatable=True, retry_budget={"share": 10})
    with Client.from_data(data) as client, ThreadPoolExecutor(8) as pool:
        service = client.service("svc")

        def call(number: int) -> bool:
            return service.send(str(number)).text == str(number)

        assert all(pool.map(call, range(400)))
        assert soon(lambda: all(view.open_calls == 0 for view in service.endpoints()))


def test_a_closed_client_leaves_no_thread_of_a_race(fleet: Fleet) -> None:
    fleet.servers[0].behaviour = lambda _: ServerReply(ending=Ending.HANG)
    with Client.from_data(fleet.data(hedge={"after": "5ms"}, repeatable=True)) as client:
        for _ in range(4):
            client.service("svc").send(b"x", timeout=60)

    def racing() -> list[threading.Thread]:
        return [thread for thread in threading.enumerate() if thread.name.startswith("directlane-race")]

    assert soon(lambda: not racing())
