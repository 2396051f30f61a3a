"""Virtual time: things happen in order, and the clock says when."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from directlane.core.simulation.events import Events


def test_in_order_of_time_and_then_as_asked_for() -> None:
    events = Events()
    seen: list[tuple[float, str]] = []

    def note(name: str) -> None:
        seen.append((events.monotonic(), name))

    for moment, name in [(2.0, "late"), (1.0, "first"), (1.0, "second")]:
        events.at(moment, note, name)
    assert (len(events), events.next_at) == (3, 1.0)
    events.run()
    assert seen == [(1.0, "first"), (1.0, "second"), (2.0, "late")]
    assert (len(events), events.next_at, events.unix()) == (0, math.inf, 2.0)


def test_until_a_second_and_no_further() -> None:
    events = Events()
    seen: list[float] = []
    for moment in (1.0, 2.0, 3.0):
        events.at(moment, seen.append, moment)
    events.run_until(2.0)
    assert (seen, events.now) == ([1.0, 2.0], 2.0)
    events.run_until(2.5)
    assert (seen, events.now) == ([1.0, 2.0], 2.5)


def test_what_happens_may_ask_for_more() -> None:
    events = Events()
    seen: list[float] = []

    def tick() -> None:
        seen.append(events.now)
        if len(seen) < 3:
            events.at(events.now + 1.0, tick)

    events.at(0.0, tick)
    events.run()
    assert seen == [0.0, 1.0, 2.0]


@pytest.mark.parametrize("moment", [0.9, -1.0, math.nan])
def test_the_past_is_refused(moment: float) -> None:
    events = Events()
    events.run_until(1.0)
    with pytest.raises(ValueError, match="too late"):
        events.at(moment, lambda: None)


@given(st.lists(st.floats(0, 100)), st.lists(st.floats(0, 100)))
def test_the_clock_never_goes_back(moments: list[float], stops: list[float]) -> None:
    events = Events()
    seen: list[float] = []
    for moment in moments:
        events.at(moment, lambda: seen.append(events.now))
    for stop in sorted(stops):
        events.run_until(stop)
        assert events.now == stop
    events.run()
    assert seen == sorted(moments)


def test_timers_ring_in_their_time_unless_cancelled_and_nothing_goes_on_for_their_sake() -> None:
    events = Events()
    seen: list[float] = []
    events.call_at(1.0, lambda: seen.append(events.now))
    cancel = events.call_at(2.0, lambda: seen.append(events.now))
    events.call_at(9.0, lambda: seen.append(events.now))
    events.at(3.0, seen.append, 3.5)
    cancel()
    cancel()
    assert len(events) == 1
    events.run()
    assert (seen, events.now) == ([1.0, 3.5], 3.0)


def test_a_timer_of_the_past_rings_now() -> None:
    events = Events()
    events.run_until(5.0)
    seen: list[float] = []
    events.call_at(1.0, lambda: seen.append(events.now))
    events.call_soon(lambda: seen.append(-events.now))
    events.run_until(5.0)
    assert seen == [-5.0, 5.0]
