"""Drives everything of a call that comes after its first attempt. For async code."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator

import stamina

from ...dispatch.call import Call, Effect, GiveUp, Sent, Wait
from ...message import Reply
from ...outcome import Outcome
from ..repeat import NotYet, hush, pause_of

__all__ = ["persisted_async"]


async def persisted_async(
    call: Call,
    flow: Generator[Effect, Sent, Reply],
    effect: Effect,
    perform: Callable[[Call, Effect], Awaitable[Outcome | None]],
) -> Reply:
    """Drive a call on under stamina: it sleeps, calls its hooks, and obeys its switches.

    Args:
        call: The call.
        flow: Its dispatch.
        effect: What the dispatch has yielded last.
        perform: Performs one effect.
    """
    hush()
    is_first = True
    try:
        async for attempt in stamina.retry_context(on=pause_of, attempts=None, timeout=None):
            with attempt:
                try:
                    if not is_first:
                        effect = flow.send(None)
                    is_first = False
                    while not isinstance(effect, Wait):
                        effect = flow.send(await perform(call, effect))
                except StopIteration as end:
                    return end.value  # type: ignore[no-any-return]  # a generator's value has no type here
                raise NotYet(effect)
    except NotYet:
        # stamina is switched off, or in test mode and at its limit.
        try:
            flow.throw(GiveUp())
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]  # as above
    raise AssertionError("a dispatch that gives up must end")
