"""Who of a pool is ill: keeps the health of each endpoint, and says who is left out and who waits for its probe.

The rules are in `core/resilience`; here are the state, the timers and the log lines. Nothing here runs for a call that
goes well, unless its endpoint is ill.

An endpoint that is ill is left out of the picker, oldest first, up to the limit. Those beyond it stay, and count as ill
all the same: where most fail, to use them is better than to drown the rest. Either way the endpoint waits for its time;
then one call, its probe, finds out. The probe is one object for each wait: it lies in `due`, or a call has it.
"""

from __future__ import annotations

import logging
import math
import threading
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from itertools import islice
from random import Random

from ..clock import Clock
from ..config.ejection import EjectionSettings
from ..fields import format_duration
from ..resilience.ejection import (
    Sign,
    after_failure,
    after_success,
    breach,
    ejected,
    ejection_limit,
    probe_failed,
    probing,
    returned,
    slowness,
)
from ..resilience.slow_start import may_ramp, next_step, share_after
from ..timers import Cancel, Timers
from .endpoint_health import EndpointHealth, Standing
from .probe import Probe
from .statistics import EndpointStats

__all__ = ["PoolHealth"]

_log = logging.getLogger("directlane.pool")

_SWEEPS = 6
"""How often in a window the latencies are compared, if they are."""

_NOBODY: frozenset[str] = frozenset()


_READY = Standing("ready")
_WARMING = Standing("warming")


class PoolHealth:
    """The health of all endpoints of a pool that may get calls.

    Mutable state: `_known`, `_ill` (in the order in which they fell ill), `_out`, `_unsaid` and `_sweep_at`, under
    `_lock`, which is never held while timers, `refresh` or a log handler are called; the timer that is set, under
    `_arranging`; and `due`, whose single steps are atomic.

    Args:
        name: Of the route, for log lines; None: nothing is logged.
        settings: When to eject.
        ramp: Seconds over which an endpoint comes in slowly; 0: at once.
        clock: Source of time.
        random: Source of chance for the jitter.
        timers: For what happens later.
        refresh: Called by a timer when `out` or `share` of somebody has changed.
    """

    def __init__(
        self,
        name: str | None,
        settings: EjectionSettings,
        ramp: float,
        clock: Clock,
        random: Random,
        timers: Timers,
        refresh: Callable[[], None],
    ) -> None:
        self._name = name
        self._settings = settings
        self._ramp = ramp
        self._clock = clock
        self._random = random
        self._timers = timers
        self._refresh = refresh
        self._lock = threading.Lock()
        self._arranging = threading.Lock()
        self._known: dict[str, EndpointHealth] = {}
        self._ill: dict[str, EndpointHealth] = {}
        self._out = _NOBODY
        self._wake_at = math.inf
        self._cancel: Cancel | None = None
        self._sweep_at = math.inf
        self._is_closed = False
        self._unsaid: _Lines = []
        self.due: deque[Probe] = deque()
        """Who waits for a call that finds out."""

    # --- what the pool asks -------------------------------------------------------------------------------------------

    @property
    def out(self) -> frozenset[str]:
        """Ids of those that get no calls."""
        return self._out

    @property
    def well(self) -> int:
        """How many are not ill."""
        return len(self._known) - len(self._ill)

    def share(self, who: str) -> float:
        """The part of its weight that counts now."""
        health = self._known.get(who)
        came_at = None if health is None else health.came_at
        return 1.0 if came_at is None else share_after(came_at, self._clock.monotonic(), self._ramp)

    def standing(self, who: str) -> Standing:
        """How it stands."""
        health = self._known.get(who)
        if health is None:
            return _READY
        ejection = health.value.ejection
        if ejection is None:
            return _READY if health.came_at is None else _WARMING
        left = max(0.0, ejection.until - self._clock.monotonic())
        if who not in self._out:
            return Standing("failing", ejection.reason, left)
        return Standing("probing" if ejection.is_probing else "ejected", ejection.reason, left)

    def waiting(self) -> list[str]:
        """Ids of those whose time is over, and whom a call is to find out about, or finds out."""
        with self._lock:
            return [health.id for health in self._ill.values() if health.probe is not None]

    def take(self) -> Probe | None:
        """The next probe that is due; None if there is none, or nobody wants to know any more."""
        try:
            probe = self.due.popleft()
        except IndexError:
            return None
        return probe if probe.is_current else None

    # --- what the pool tells ------------------------------------------------------------------------------------------

    def take_over(self, listed: Iterable[tuple[str, EndpointStats]]) -> None:
        """Take over a new list: the endpoints that may get calls, with their statistics. Call `attend` after it.

        Who is still listed keeps its ejection. Who is not is forgotten: if it is listed again, the control plane says
        that it is well, and knows better than we from before.
        """
        now = self._clock.monotonic()
        with self._lock:
            before = self._known
            after = dict(listed)
            is_slow = self._ramp > 0 and may_ramp(len(before), sum(who in after for who in before))
            self._known = {}
            for who, stats in after.items():
                health = before.pop(who, None)
                if health is None:
                    health = EndpointHealth(self.note, who, stats, now)
                    health.came_at = now if is_slow else None
                    stats.health = health if self._settings.enabled else None
                self._known[who] = health
            for gone in before.values():
                gone.stats.health = None
                gone.is_ill, gone.probe = False, None
                self._ill.pop(gone.id, None)
            if self._settings.enabled and self._settings.latency_factor is not None and self._sweep_at == math.inf:
                self._sweep_at = now + self._settings.window / _SWEEPS
            self._unsaid += self._sort_out()

    def attend(self) -> None:
        """See to it that we are called when the next thing is due. Not under a lock that `refresh` takes."""
        with self._lock:
            lines, self._unsaid = self._unsaid, []
        self._say(lines)
        with self._arranging:
            with self._lock:
                when = self._next()
            if when >= self._wake_at or self._is_closed:
                return
            # The new one first: timers whose last user leaves may end their thread.
            cancel = self._timers.call_at(when, self._wake)
            self._wake_at, self._cancel, old = when, cancel, self._cancel
            if old is not None:
                old()

    def close(self) -> None:
        """Nothing happens any more."""
        with self._arranging:
            self._is_closed = True
            cancel, self._cancel = self._cancel, None
        # Not under the lock: it may wait for the end of a thread that waits for the lock.
        if cancel is not None:
            cancel()

    # --- what the attempts tell ---------------------------------------------------------------------------------------

    def note(self, health: EndpointHealth, sign: Sign, good: int, elapsed: float) -> None:
        """An attempt ended: a failure, or any other on an endpoint that is ill."""
        now = self._clock.monotonic()
        with self._lock:
            if self._known.get(health.id) is not health or sign is Sign.BUSY:
                return
            value = health.value
            if now - elapsed < value.returned_at:
                return  # it began before the endpoint was back, and says what we know
            good, health.good = max(0, good - health.good), good
            if sign.is_failure:
                health.value = value = after_failure(value, sign, good, now, self._settings)
                reason = breach(value, self._settings)
                if value.ejection is not None or reason is None:
                    return
                lines = self._eject(health, reason, now)
            else:
                health.value = value = after_success(value, good, now, self._settings)
                if value.ejection is None or health.id in self._out or breach(value, self._settings) is not None:
                    return
                lines = self._bring_back(health, now)
        self._say(lines)
        self._changed()

    def _probed(self, health: EndpointHealth, probe: Probe, sign: Sign) -> None:
        """A probe ended. Who says "busy" is alive."""
        now = self._clock.monotonic()
        with self._lock:
            if health.probe is not probe:
                return
            if sign.is_failure:
                health.probe = None
                health.value = probe_failed(health.value, now, self._random.random(), self._settings)
                lines = [(logging.INFO, self._about(health, "failed once more; it is asked again in"))]
            else:
                lines = self._bring_back(health, now)
        self._say(lines)
        self._changed()

    # --- under the lock -----------------------------------------------------------------------------------------------

    def _eject(self, health: EndpointHealth, reason: str, now: float) -> _Lines:
        health.value = ejected(health.value, reason, now, self._random.random(), self._settings)
        health.came_at = None
        health.is_ill = True
        self._ill[health.id] = health
        lines = self._sort_out()
        if health.id not in self._out:
            count = f"{len(self._out)} of {len(self._known)} endpoints are out"
            text = f"fails and is not ejected, because too many fail ({count}): {reason}"
            lines.append((logging.WARNING, f"{health.id} {text}"))
        return lines

    def _bring_back(self, health: EndpointHealth, now: float) -> _Lines:
        ejection = health.value.ejection
        assert ejection is not None  # noqa: S101 - the callers have seen one
        is_slow = health.id in self._out and self._ramp > 0
        health.value = returned(health.value, now)
        health.is_ill, health.probe = False, None
        health.came_at = now if is_slow else None
        # Slow answers of old must not send it out again before it has given new ones.
        health.stats.latency = None
        health.attempts, health.good = health.stats.figures().attempts, health.stats.good
        del self._ill[health.id]
        text = f"{health.id} is well again after {format_duration(now - ejection.since)}"
        return [(logging.INFO, text), *self._sort_out()]

    def _sort_out(self) -> _Lines:
        """Leave out those that are ill, as many as may be. What it returns is to be logged."""
        limit = ejection_limit(len(self._known), self._settings)
        before, self._out = self._out, frozenset(islice(self._ill, limit))
        lines: _Lines = []
        for who in self._ill:
            if who in self._out and who not in before:
                lines.append((logging.WARNING, self._about(self._ill[who], "is ejected for")))
            elif who in before and who not in self._out:
                lines.append((logging.WARNING, f"{who} fails and gets calls again, because too many fail"))
        return lines

    def _about(self, health: EndpointHealth, what: str) -> str:
        ejection = health.value.ejection
        assert ejection is not None  # noqa: S101 - the callers have seen one
        left = max(0.0, ejection.until - self._clock.monotonic())
        return f"{health.id} {what} {format_duration(left)}: {ejection.reason}"

    def _next(self) -> float:
        """When something is due that no call brings about."""
        now = self._clock.monotonic()
        moments = [self._sweep_at]
        for health in self._ill.values():
            ejection = health.value.ejection
            if ejection is not None and not ejection.is_probing:
                moments.append(ejection.until)
        for health in self._known.values():
            if health.came_at is not None:
                # The last step may have come since we looked: then `next_step` knows no other, and we must look again.
                moments += [min(next_step(health.came_at, now, self._ramp), health.came_at + self._ramp)]
        return min(moments)

    # --- by the timers ------------------------------------------------------------------------------------------------

    def _wake(self) -> None:
        with self._arranging:
            if self._is_closed:
                return
            self._wake_at, self._cancel = math.inf, None
        now = self._clock.monotonic()
        lines: _Lines = []
        with self._lock:
            for health in self._ill.values():
                ejection = health.value.ejection
                if ejection is not None and not ejection.is_probing and ejection.until <= now:
                    health.value = probing(health.value)
                    health.probe = Probe(health, self.due, partial(self._probed, health))
                    self.due.append(health.probe)
            for health in self._known.values():
                if health.came_at is not None and next_step(health.came_at, now, self._ramp) == math.inf:
                    health.came_at = None
            if now >= self._sweep_at:
                self._sweep_at = now + self._settings.window / _SWEEPS
                lines = self._sweep(now)
        self._say(lines)
        try:
            self._refresh()  # a balancer of somebody may raise
        finally:
            self.attend()

    def _sweep(self, now: float) -> _Lines:
        """Eject who answers much slower than the others."""
        lines: _Lines = []
        seconds: dict[str, float] = {}
        for who, health in self._known.items():
            latency = health.stats.latency
            answers = health.stats.figures().attempts - health.attempts
            if not health.is_ill and latency is not None and answers >= self._settings.min_calls:
                seconds[who] = latency.seconds
        for who, mine in seconds.items():
            reason = slowness(mine, [each for other, each in seconds.items() if other != who], self._settings)
            if reason is not None:
                lines += self._eject(self._known[who], reason, now)
        return lines

    # --- without the lock ---------------------------------------------------------------------------------------------

    def _changed(self) -> None:
        try:
            self._timers.call_soon(self._refresh)
            self.attend()
        except (RuntimeError, OSError) as error:
            # It is told in the middle of a call, which must not fail by it.
            _log.error("%s: nobody can be ejected, for there is no timer: %s", self._name, type(error).__name__)
            self._forgive()

    def _forgive(self) -> None:
        now = self._clock.monotonic()
        with self._lock:
            for health in list(self._ill.values()):
                self._bring_back(health, now)

    def _say(self, lines: _Lines) -> None:
        for level, text in lines if self._name is not None else ():
            _log.log(level, "%s: %s", self._name, text)


_Lines = list[tuple[int, str]]
"""What is to be logged when the lock is free again: level and text."""
