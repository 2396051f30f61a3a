"""One call in virtual time: what the shells do with the effects of a dispatch, with events in the place of I/O."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Protocol

from ...dispatch.call import HEDGE_DUE, Attempt, Call, Effect, Finished, GiveUp, GoOn, Queue, Reauthenticate, Sent, Wait
from ...dispatch.dispatch import Dispatcher
from ...errors import DirectlaneError, Phase, TransportError
from ...message import Reply
from ...outcome import Outcome
from ..events import Events
from .network import Answer, Network

__all__ = ["Surroundings", "VirtualCall"]

_LOOK_ROUND = 0.05
"""Seconds between two looks if a credential was renewed."""


class Surroundings(Protocol):
    """Where a call happens: the part of `VirtualService` that it needs."""

    @property
    def dispatcher(self) -> Dispatcher:
        """Decides about the call."""
        ...

    @property
    def events(self) -> Events:
        """What happens when."""
        ...

    @property
    def network(self) -> Network:
        """Says what comes of an attempt."""
        ...

    @property
    def lateness(self) -> Callable[[], float]:
        """Seconds by which the next timer rings late."""
        ...

    @property
    def gives_up(self) -> Callable[[], bool]:
        """Whether repeats are switched off at this moment."""
        ...

    @property
    def on_effect(self) -> Callable[[VirtualCall, Effect], None] | None:
        """Told of each effect."""
        ...

    @property
    def on_outcome(self) -> Callable[[VirtualCall, Attempt], None] | None:
        """Told of the end of each attempt."""
        ...

    @property
    def on_reply(self) -> Callable[[VirtualCall], None] | None:
        """Told of each answer."""
        ...

    def ended(self, call: VirtualCall) -> None:
        """A call is over."""
        ...


class VirtualCall:
    """A call that is under way, or over.

    Attributes:
        call: What was wanted.
        flow: Its dispatch.
        reply: The answer; None before it, or if there is none.
        error: Why there is none.
        is_cancelled: Whether the caller gave up.
        is_over: Whether everything has ended, the body of a stream included.
        answered_at: Second of the answer, or error; None before.
    """

    __slots__ = (
        "_body",
        "_is_racing",
        "_running",
        "_service",
        "_step",
        "answered_at",
        "call",
        "error",
        "flow",
        "is_cancelled",
        "is_over",
        "reply",
    )

    def __init__(self, service: Surroundings, call: Call) -> None:
        self._service = service
        self._step = 0
        self._body: Answer | None = None
        self._running: list[Attempt] = []
        self._is_racing = False
        self.call: Call = call
        self.flow: Generator[Effect, Sent, Reply] = service.dispatcher.dispatch(call)
        self.reply: Reply | None = None
        self.error: DirectlaneError | None = None
        self.is_cancelled: bool = False
        self.is_over: bool = False
        self.answered_at: float | None = None

    def begin(self) -> None:
        """Take the first step."""
        self._resume(None)

    def cancel(self) -> None:
        """The caller gives up, now. Harmless when it is over."""
        if self.is_over:
            return
        self.is_cancelled = True
        self._step += 1
        self.flow.close()
        self._over()

    def _resume(self, sent: Sent) -> None:
        self._step += 1
        try:
            effect = self.flow.send(sent)
        except StopIteration as end:
            self._answered(end.value)
        except DirectlaneError as error:
            self._failed(error)
        else:
            self._perform(effect)

    def _perform(self, effect: Effect) -> None:
        service, step = self._service, self._step
        if not (isinstance(effect, GoOn) or (isinstance(effect, Attempt) and effect.is_hedge)):
            self._running.clear()  # who has lost the race is ended
            self._is_racing = False
        if service.on_effect is not None:
            service.on_effect(self, effect)
            if self._step != step:  # it has cancelled us
                return
        events = service.events
        if isinstance(effect, Attempt):
            self._start(effect)
        elif isinstance(effect, Wait):
            if service.gives_up():
                events.at(events.now, self._give_up, step)
            else:
                events.at(events.now + effect.seconds + service.lateness(), self._wake, step)
        elif isinstance(effect, Queue):
            # Whoever gives the slot back goes on first, as in the client.
            if not effect.ticket.wake_by(lambda: events.at(events.now + service.lateness(), self._wake, step)):
                events.at(events.now, self._wake, step)
            events.at(events.now + effect.timeout + service.lateness(), self._wake, step)
        elif isinstance(effect, Reauthenticate):
            ticket = effect.route.renewal.ask_soon(reauthenticate=True)
            self._look(step, effect, ticket, events.now + effect.timeout)

    def _start(self, attempt: Attempt) -> None:
        service = self._service
        events = service.events
        self.call.attempt = attempt
        self._running.append(attempt)
        answer = service.network.attempt(self.call, attempt)
        seconds, outcome = answer.seconds, answer.outcome
        if seconds > attempt.timeouts.total:
            seconds = attempt.timeouts.total + service.lateness()
            late = TransportError("no answer in time", phase=Phase.WAIT, timed_out=True)
            outcome = Outcome(Phase.WAIT, seconds, error=late)
        outcome.elapsed = seconds
        events.at(events.now + seconds, self._came, attempt, outcome, answer)
        if attempt.hedge_after is not None and attempt.hedge_after < seconds:
            events.at(events.now + attempt.hedge_after, self._hedge, attempt)

    def _came(self, attempt: Attempt, outcome: Outcome, answer: Answer) -> None:
        """An attempt has ended. One that lost a race says nothing any more."""
        if self.is_over or attempt not in self._running:
            return
        self._running.remove(attempt)
        self.call.attempt = attempt
        is_begun = self.call.is_streamed and outcome.reply is not None and 200 <= outcome.reply.status < 300
        self._body = answer if is_begun else None
        if self._service.on_outcome is not None:
            self._service.on_outcome(self, attempt)
        self._resume(Finished(attempt, outcome) if self._is_racing else outcome)

    def _hedge(self, attempt: Attempt) -> None:
        if not self.is_over and attempt in self._running:
            self._is_racing = True
            self._resume(HEDGE_DUE)

    def _wake(self, step: int) -> None:
        if self._step == step and not self.is_over:
            self._resume(None)

    def _give_up(self, step: int) -> None:
        if self._step != step or self.is_over:
            return
        self._step += 1
        try:
            self.flow.throw(GiveUp())
        except StopIteration as end:
            self._answered(end.value)
        except DirectlaneError as error:
            self._failed(error)
        else:
            raise AssertionError("a dispatch that gives up must end")

    def _look(self, step: int, effect: Reauthenticate, ticket: int, ends_at: float) -> None:
        if self._step != step or self.is_over:
            return
        events = self._service.events
        if events.now >= ends_at or effect.route.renewal.wait_served(ticket, 0.0):
            self._resume(None)
        else:
            events.at(min(events.now + _LOOK_ROUND, ends_at), self._look, step, effect, ticket, ends_at)

    def _answered(self, reply: Reply) -> None:
        self.reply = reply
        events = self._service.events
        self.answered_at = events.now
        self._running.clear()
        if self._service.on_reply is not None:
            self._service.on_reply(self)
        if self.call.is_streamed and self._body is not None:
            events.at(events.now + self._body.body_seconds, self._end_body, self._step)
        else:
            self._over()

    def _end_body(self, step: int) -> None:
        if self._step != step or self.is_over:
            return
        attempt, body = self.call.attempt, self._body
        if attempt is not None and body is not None and body.broken is not None:
            attempt.member.load.record_broken(body.broken)
        self._over()

    def _failed(self, error: DirectlaneError) -> None:
        self.error = error
        self.answered_at = self._service.events.now
        self._over()

    def _over(self) -> None:
        self.is_over = True
        attempt = self.call.attempt
        was_given = self.call.is_streamed and self.reply is not None
        if was_given and attempt is not None and attempt.lease in attempt.lease.stats.open:
            # What the dispatch has left to the caller, who closes it. The client does not ask; here, a lease that is
            # released twice is to be seen.
            attempt.lease.release()
        self._service.ended(self)
