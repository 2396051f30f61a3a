# Made by tools/unasync.py from core/client/_async/persistence.py. Change that file, then run the tool.
"""Drives everything of a call that comes after its first attempt. For sync code."""

from __future__ import annotations

from collections.abc import Callable, Generator

import stamina

from ...dispatch.call import Call, Effect, GiveUp, Sent, Wait
from ...message import Reply
from ...outcome import Outcome
from ..repeat import NotYet, hush, pause_of

__all__ = ["persisted"]


def persisted(
    call: Call,
    flow: Generator[Effect, Sent, Reply],
    effect: Effect,
    perform: Callable[[Call, Effect], Outcome | None],
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
        for attempt in stamina.retry_context(on=pause_of, attempts=None, timeout=None):
            with attempt:
                try:
                    if not is_first:
                        effect = flow.send(None)
                    is_first = False
                    while not isinstance(effect, Wait):
                        effect = flow.send(perform(call, effect))
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
