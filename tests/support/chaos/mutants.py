"""Mistakes that somebody might make in the engine, one line each. The watch must see every one of them."""

from __future__ import annotations
import __future__

import inspect
import sys
import textwrap
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass

from directlane.core.discovery import belief, poller
from directlane.core.dispatch.dispatch import Dispatcher
from directlane.core.dispatch.racing import Racing
from directlane.core.pool import health as health_module
from directlane.core.pool.health import PoolHealth
from directlane.core.pool.pool import Pool
from directlane.core.pool.probe import ProbeStats
from directlane.core.pool.statistics import EndpointStats
from directlane.core.resilience.slots import Slots

__all__ = ["MUTANTS", "Mutant"]


@dataclass(frozen=True)
class Mutant:
    """One mistake.

    Args:
        name: What is wrong.
        rule: The invariant that must see it first.
        place: Where: a class or a module.
        function: Which function of it.
        right: A piece of its source.
        wrong: What stands there instead.
    """

    name: str
    rule: str
    place: object
    function: str
    right: str
    wrong: str

    @contextmanager
    def made(self) -> Generator[None, None, None]:
        """The mistake is made while the block runs."""
        real = inspect.getattr_static(self.place, self.function)
        plain = inspect.unwrap(real)
        source = textwrap.dedent(inspect.getsource(plain))
        # A source that has changed must not turn this test into one that tries nothing.
        assert source.count(self.right) == 1, f"{self.name}: {self.right!r} is there {source.count(self.right)} times"
        text = source.replace(self.right, self.wrong)
        code = compile(text, plain.__code__.co_filename, "exec", __future__.annotations.compiler_flag)
        home = vars(sys.modules[plain.__module__])
        made: dict[str, Callable[..., object]] = {}
        exec(code, home, made)
        setattr(self.place, self.function, made[self.function])
        try:
            yield
        finally:
            setattr(self.place, self.function, real)


MUTANTS = (
    Mutant(
        "a lease is kept when the caller gives up",
        "a call that is over holds no lease",
        Dispatcher,
        "dispatch",
        "member.load.record_cancelled()\n                attempt.lease.release()",
        "member.load.record_cancelled()",
    ),
    Mutant(
        "a lease is released twice",
        "a lease is released once",
        Dispatcher,
        "dispatch",
        "if outcome.fault is None:\n            attempt.lease.release()",
        "if outcome.fault is None:\n            attempt.lease.release(); attempt.lease.release()",
    ),
    Mutant(
        "the deadline is not looked at after a pause",
        "nothing starts after the deadline",
        Dispatcher,
        "_elsewhere",
        "return None\n    if self._clock.monotonic() >= call.deadline:",
        "return None\n    if False:",
    ),
    Mutant(
        "a pause may last beyond the deadline",
        "no pause beyond the deadline",
        Dispatcher,
        "_elsewhere",
        "if self._clock.monotonic() + pause >= call.deadline:",
        "if self._clock.monotonic() >= call.deadline:",
    ),
    Mutant(
        "what may have run is repeated",
        "what may have run is not repeated",
        Dispatcher,
        "_may_repeat",
        "verdict.may_have_run and not call.may_repeat",
        "False",
    ),
    Mutant(
        "a stream is sent again",
        "a stream is sent once",
        Dispatcher,
        "_may_repeat",
        "return call.request.is_replayable or outcome.phase is Phase.CONNECT",
        "return True",
    ),
    Mutant(
        "who was tried is tried again",
        "another endpoint each time",
        Dispatcher,
        "_elsewhere",
        "story.tried |= {member.endpoint.id}",
        "pass",
    ),
    Mutant(
        "the retry budget always pays",
        "the retry budget",
        Dispatcher,
        "_pays",
        "not self.budget.spend()",
        "False",
    ),
    Mutant(
        "a hedge costs nothing",
        "the retry budget",
        Racing,
        "_other",
        "member is not None and self._budget.spend()",
        "member is not None",
    ),
    Mutant(
        "the loser of a race keeps its lease",
        "a call that is over holds no lease",
        Racing,
        "race",
        "loser.lease.release()",
        "pass",
    ),
    Mutant(
        "the last endpoint is ejected",
        "the floor of ejection",
        health_module,
        "ejection_limit",
        "min(math.floor(settings.max_share * size + 1e-9), size - 1)",
        "size",
    ),
    Mutant(
        "who is ejected gets calls",
        "who is ejected gets no calls",
        Pool,
        "_build",
        "if member.endpoint.id not in out",
        "",
    ),
    Mutant(
        "a probe is handed out twice",
        "one probe at a time",
        PoolHealth,
        "take",
        "self.due.popleft()",
        "self.due[0]",
    ),
    Mutant(
        "a probe is lost when its caller gives up",
        "one probe at a time",
        ProbeStats,
        "record_cancelled",
        "self._give_back()",
        "self.probe = None",
    ),
    Mutant(
        "a probe that was lost is never missed",
        "who is well again is found",
        PoolHealth,
        "_wake",
        "self.due.append(health.probe)",
        "health.probe = None",
    ),
    Mutant(
        "an attempt that was given up is not counted",
        "every attempt is counted once",
        EndpointStats,
        "record_cancelled",
        "self._cancelled += 1",
        "pass",
    ),
    Mutant(
        "connections are closed under open calls",
        "open calls keep their connections",
        Pool,
        "reap",
        "done = [member for member in self._leaving if not member.load.open]",
        "done = list(self._leaving)",
    ),
    Mutant(
        "one slot too many",
        "nobody has more than its slots",
        Slots,
        "_grant",
        "len(used) >= self.limit_of(endpoint_id)",
        "len(used) > self.limit_of(endpoint_id)",
    ),
    Mutant(
        "a slot that is free is not handed on",
        "no slot is idle while a call waits",
        Slots,
        "_work",
        "        self._hand_out()",
        "        pass",
    ),
    Mutant(
        "a slot that came too late is lost",
        "nothing is left",
        Slots,
        "_left",
        "ticket.slot.release()",
        "pass",
    ),
    Mutant(
        "strangers are let in",
        "a list comes from discovery",
        belief,
        "admit",
        "reason = _reason_against(endpoint, source, networks)",
        "reason = None",
    ),
    Mutant(
        "a failure of discovery empties the list",
        "a list comes from discovery",
        poller,
        "after_failure",
        "questions=belief.questions + 1,",
        "questions=belief.questions + 1, snapshot=None,",
    ),
    Mutant(
        "a new list is not taken over",
        "the last good list is in use",
        poller,
        "after_answer",
        "if snapshot.endpoints:",
        "if snapshot.endpoints and not belief.endpoints:",
    ),
    Mutant(
        "timers are left behind",
        "nothing is left",
        PoolHealth,
        "close",
        "        cancel()",
        "        pass",
    ),
)
"""All of them."""
