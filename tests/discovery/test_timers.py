"""The hub's timers: when they ring, what they cost who needs none, and what is left of them."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time

import pytest
from discovery_lab import SECRET, Ask, ControlPlane, hub_threads, quick

from directlane.core.clock import SYSTEM_CLOCK
from directlane.core.discovery.belief import Belief
from directlane.core.discovery.hub import DiscoveryHub
from directlane.core.timers import TimerQueue


def ignore(belief: Belief) -> None:
    """A listener that does nothing."""


def settle() -> None:
    """Wait until the threads that were told to end have ended."""
    ends_at = time.monotonic() + 10
    while hub_threads() and time.monotonic() < ends_at:
        time.sleep(0.005)


def test_a_timer_rings_not_before_its_time_and_leaves_no_thread(hub: DiscoveryHub) -> None:
    rang, moments = threading.Event(), [0.0]
    assert hub_threads() == []

    def ring() -> None:
        moments[0] = time.monotonic()
        rang.set()

    when = time.monotonic() + 0.05
    hub.call_at(when, ring)
    assert rang.wait(10)
    assert moments[0] >= when
    settle()
    assert hub_threads() == []


def test_soon_is_in_the_thread_and_a_mistake_stops_nobody(hub: DiscoveryHub, caplog: pytest.LogCaptureFixture) -> None:
    names: list[str] = []
    rang = threading.Event()

    def wrong() -> None:
        raise ValueError(SECRET)

    def right() -> None:
        names.append(threading.current_thread().name)
        rang.set()

    hub.call_soon(wrong)
    hub.call_soon(right)
    assert rang.wait(10)
    assert names == ["directlane-discovery"]
    assert "a timer broke with ValueError" in caplog.text
    settle()


def test_the_thread_lives_as_long_as_somebody_needs_it(hub: DiscoveryHub, plane: ControlPlane) -> None:
    share = hub.subscribe("svc", Ask(plane.url), quick(interval=3600.0), ignore)
    assert share.wait_ready(5)
    cancel = hub.call_at(time.monotonic() + 3600, lambda: None)
    share.release()
    assert len(hub_threads()) == 1, "the timer still needs it"
    again = hub.subscribe("svc", Ask(plane.url), quick(interval=3600.0), ignore)
    assert again.wait_ready(5)
    cancel()
    cancel()
    assert len(hub_threads()) == 1, "the poller still needs it"
    again.release()
    assert hub_threads() == []


def test_a_timer_that_sets_the_next_one_keeps_its_thread(hub: DiscoveryHub) -> None:
    threads: list[int] = []
    done = threading.Event()

    def again() -> None:
        threads.append(threading.get_ident())
        if len(threads) < 5:
            hub.call_at(time.monotonic() + 0.001, again)
        else:
            done.set()

    hub.call_soon(again)
    assert done.wait(10)
    assert len(set(threads)) == 1
    settle()


def test_timers_may_be_somebody_elses() -> None:
    queue = TimerQueue(SYSTEM_CLOCK)
    hub = DiscoveryHub(timers=queue)
    rang: list[int] = []
    hub.call_soon(lambda: rang.append(1))
    hub.call_at(0.0, lambda: rang.append(2))
    hub.call_at(0.0, lambda: rang.append(3))()
    assert rang == [1]
    queue.run_due()
    assert rang == [1, 2]
    assert hub_threads() == []


_PROGRAM = """
import time
from directlane.core.discovery.hub import DiscoveryHub
hub = DiscoveryHub()
hub.call_at(time.monotonic() + 3600, print)
print("end")
"""


def test_a_pending_timer_does_not_hold_up_the_exit() -> None:
    ended = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, timeout=60, check=True)
    assert (ended.stdout, ended.stderr) == ("end\n", "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_child_has_none_of_the_timers_and_can_set_its_own() -> None:
    program = """
import os, sys, threading, time
from directlane.core.discovery.hub import DiscoveryHub
hub = DiscoveryHub()
cancel = hub.call_at(time.monotonic() + 3600, print)
child = os.fork()
if child == 0:
    cancel()
    rang = threading.Event()
    hub.call_soon(rang.set)
    os._exit(0 if rang.wait(20) else 1)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    subprocess.run([sys.executable, "-W", "ignore", "-c", program], timeout=60, check=True)
