"""Drives a call whose first attempt may get a hedge. For async code."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from functools import partial

from ...dispatch.call import HEDGE_DUE, Attempt, Call, Effect, Finished, GoOn, Sent
from ...message import Reply
from ...outcome import Outcome
from ..races import AsyncRace

__all__ = ["hedged_async"]

_Perform = Callable[[Call, Effect], Awaitable[Outcome | None]]


async def hedged_async(
    race: AsyncRace, call: Call, flow: Generator[Effect, Sent, Reply], first: Attempt, perform: _Perform
) -> Effect | Reply:
    """Perform the first attempt, and its hedge when that is due.

    Args:
        race: To run them in.
        call: The call.
        flow: Its dispatch, which has yielded `first`.
        first: An attempt with `hedge_after`.
        perform: Performs one attempt.

    Returns:
        The reply, or the next effect, when no attempt runs any more.
    """
    async with race:
        race.start(first, partial(perform, call, first))
        ended = await race.ended(first.hedge_after)
        is_due = ended is None
        if is_due:
            effect = flow.send(HEDGE_DUE)
            if isinstance(effect, Attempt):
                race.start(effect, partial(perform, call, effect))
        while True:
            if ended is None:
                ended = await race.ended()
                assert ended is not None  # noqa: S101 - it waits as long as it takes
            attempt, outcome = ended
            ended = None
            call.attempt = attempt
            race.keep(attempt)
            try:
                effect = flow.send(Finished(attempt, outcome) if is_due else outcome)
            except StopIteration as end:
                reply: Reply = end.value
                return reply
            if not isinstance(effect, GoOn):
                return effect
