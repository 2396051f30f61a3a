"""Forks, and the end of the interpreter: each in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from discovery_lab import FAULTS, ControlPlane

from directlane.core.emulation.server import ServerReply

SUPPORT = Path(__file__).parents[1] / "support"

HEAD = """
import logging, os, sys, threading, time
from discovery_lab import Ask, Told, hub_threads, quick
from directlane.core.discovery.hub import DiscoveryHub, process_hub
url = sys.argv[1]
"""


def run(script: str, url: str, *, limit: float = 20.0) -> float:
    """Run a script; it must end with status 0 and without a word. Returns how long it took after its `go`."""
    path = os.pathsep.join([str(SUPPORT), *filter(None, [os.environ.get("PYTHONPATH")])])
    process = subprocess.Popen(
        [sys.executable, "-W", "always::ResourceWarning", "-c", HEAD + textwrap.dedent(script), url],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
    )
    with process:
        assert process.stdout is not None
        try:
            first = process.stdout.readline()
            started = time.monotonic()
            out, err = process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
    assert (process.returncode, first + out, err) == (0, "go\n", "")
    return time.monotonic() - started


EXITS = {
    "polling": (None, "assert share.wait_ready(5); print('go', flush=True)"),
    "polling, with a log line for each question": (
        None,
        "logging.basicConfig(filename=os.devnull, level=0); assert share.wait_ready(5); print('go', flush=True)",
    ),
    "a query hangs": ("hangs", "time.sleep(0.2); print('go', flush=True)"),
    "a query drips": ("drips", "time.sleep(0.2); print('go', flush=True)"),
}


@pytest.mark.parametrize("case", EXITS)
def test_program_that_ends_without_close_ends_at_once(plane: ControlPlane, case: str) -> None:
    fault, rest = EXITS[case]
    if fault:
        plane.behaviour = FAULTS[fault]
    script = f"""
    hub = process_hub()
    share = hub.subscribe("svc", Ask(url), quick(interval=0.001, timeout=60), Told())
    {rest}
    """
    assert run(script, plane.url) < 4.5, "who waits for something waits 5 seconds or more"


@pytest.mark.parametrize(
    "end", ["", "share.release()\nassert not [name for name in hub_threads() if 'look' not in name]"]
)
def test_name_server_that_does_not_answer_holds_up_nobody(plane: ControlPlane, end: str) -> None:
    script = """
    import socket
    asked = threading.Event()
    def never(*args, **kwargs):
        asked.set()
        time.sleep(60)
    socket.getaddrinfo = never
    share = process_hub().subscribe("svc", Ask("http://name.invalid"), quick(timeout=60), Told())
    assert asked.wait(5)
    print("go", flush=True)
    """
    assert run(textwrap.dedent(script) + end, plane.url) < 3


def test_fork_keeps_what_is_known_and_the_child_polls_for_itself(plane: ControlPlane) -> None:
    script = """
    hub = DiscoveryHub()
    share = hub.subscribe("svc", Ask(url), quick(), Told())
    idle = hub.subscribe("svc", Ask(url, "not asked in the child"), quick(), Told())
    assert share.wait_ready(5) and idle.wait_ready(5)
    known = share.belief
    child = os.fork()
    if child == 0:
        try:
            assert hub_threads() == [] and hub.pollers == 0
            told = Told()
            mine = hub.subscribe("svc", Ask(url), quick(), told)
            assert told.lists[0] == ["10.0.0.1", "10.0.0.2"], "known at once"
            assert mine.wait_ready(0)
            questions = known.questions
            assert mine.wait_served(mine.ask_soon(), 5), "it is polled here"
            share.release()
            idle.release()  # the parent's: harmless
            assert mine.wait_served(mine.ask_soon(), 5)
            mine.release()
            assert hub_threads() == [] and hub.pollers == 0
        except BaseException as error:
            print("child:", repr(error), flush=True)
            os._exit(1)
        os._exit(0)
    print("go", flush=True)
    assert os.waitpid(child, 0)[1] == 0
    for one in (share, idle):
        assert one.wait_served(one.ask_soon(), 5), "the parent goes on"
        one.release()
    assert hub_threads() == []
    """
    run(script, plane.url)


def test_fork_while_a_listener_is_being_told(plane: ControlPlane) -> None:
    script = """
    inside, leave = threading.Event(), threading.Event()
    def slow(belief):
        inside.set()
        leave.wait(10)
    hub = DiscoveryHub()
    share = hub.subscribe("svc", Ask(url), quick(), slow)
    assert inside.wait(5)
    print("go", flush=True)
    child = os.fork()
    if child == 0:
        import faulthandler
        faulthandler.dump_traceback_later(8, exit=True)
        mine = hub.subscribe("svc", Ask(url), quick(), Told())
        os._exit(0 if mine.wait_ready(5) and mine.wait_served(mine.ask_soon(), 5) else 1)
    assert os.waitpid(child, 0)[1] == 0
    leave.set()
    assert share.wait_ready(5)
    share.release()
    """
    run(script, plane.url)


def test_fork_from_busy_threads_leaves_no_lock_behind(plane: ControlPlane) -> None:
    script = """
    hub = process_hub()
    done = threading.Event()
    def churn():
        while not done.is_set():
            process_hub().subscribe("svc", Ask(url), quick(timeout=10.0), Told()).release()
    share = hub.subscribe("svc", Ask(url), quick(interval=0.001, timeout=10.0), Told())
    threads = [threading.Thread(target=churn) for _ in range(3)]
    for thread in threads:
        thread.start()
    print("go", flush=True)
    for _ in range(15):
        child = os.fork()
        if child == 0:
            import faulthandler
            faulthandler.dump_traceback_later(8, exit=True)
            mine = process_hub().subscribe("svc", Ask(url), quick(timeout=10.0), Told())
            ready = mine.wait_ready(5) and mine.wait_served(mine.ask_soon(), 5)
            mine.release()
            os._exit(0 if ready and not hub_threads() else 1)
        assert os.waitpid(child, 0)[1] == 0
    done.set()
    for thread in threads:
        thread.join()
    share.release()
    """
    run(script, plane.url)


def test_an_upkeep_goes_on_in_the_child_with_what_it_has_learned(plane: ControlPlane) -> None:
    plane.behaviour = lambda _: ServerReply(content=b"learned")
    script = """
    from directlane import Query, Snapshot
    class Keep:
        learned = None
        @property
        def identity(self):
            return self
        def poll(self, context):
            reply = yield Query(url)
            self.learned = reply.content, context.reauthenticate
            return Snapshot(ask_again_in=3600.0)
    hub, keep = DiscoveryHub(), Keep()
    share = hub.keep("svc", keep, quick(timeout=10.0), Told())
    assert share.wait_ready(10)
    print("go", flush=True)
    child = os.fork()
    if child == 0:
        import faulthandler
        faulthandler.dump_traceback_later(15, exit=True)
        told = Told()
        mine = hub.keep("svc", keep, quick(timeout=10.0), told)
        knows = mine.is_ready and told.lists == [[]] and keep.learned == (b"learned", False)
        renews = mine.wait_served(mine.ask_soon(reauthenticate=True), 10)
        os._exit(0 if knows and renews and keep.learned == (b"learned", True) else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert keep.learned == (b"learned", False)
    share.release()
    """
    run(script, plane.url)


def test_child_of_a_program_with_a_refused_credential_does_not_send_it_again(plane: ControlPlane) -> None:
    script = """
    from directlane import CredentialError
    class Refused(Ask):
        def poll(self, context):
            yield from super().poll(context)
            raise CredentialError("wrong", permanent=True)
    logging.disable()
    hub = DiscoveryHub()
    share = hub.subscribe("svc", Refused(url), quick(), Told())
    assert not share.wait_ready(5)
    print("go", flush=True)
    child = os.fork()
    if child == 0:
        mine = hub.subscribe("svc", Refused(url), quick(), Told())
        os._exit(1 if mine.wait_ready(0.3) else 0)
    assert os.waitpid(child, 0)[1] == 0
    share.release()
    """
    run(script, plane.url)
    assert len(plane.asked) == 1


def test_one_who_fails_after_a_fork_does_not_keep_the_others_from_being_told(plane: ControlPlane) -> None:
    script = """
    from directlane.core.forks import on_fork
    class Owner:
        def __init__(self, fails):
            self.fails, self.told = fails, 0
            on_fork(self)
        def after_fork_in_child(self):
            self.told += 1
            if self.fails:
                raise RuntimeError("broken")
    owners = [Owner(number % 2 == 0) for number in range(6)]
    gone = Owner(True)
    del gone
    sys.unraisablehook = lambda _: None
    print("go", flush=True)
    child = os.fork()
    if child == 0:
        os._exit(0 if all(owner.told == 1 for owner in owners) else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert not any(owner.told for owner in owners)
    """
    run(script, plane.url)
