"""Drives a conversation that goes on: a watch, or a question that is answered when something changes."""

from __future__ import annotations

from collections.abc import Callable

from ..endpoint import Snapshot
from ..errors import DiscoveryError, TransportError
from ..interfaces.discovery import NEXT_PIECE, Discovery, LocalQuery, NextPiece, PollContext, Query
from ..message import Reply
from .conversation import MOST_QUERIES, NOW, Answer, Asked, Cloud
from .guard import alone

__all__ = ["Watching"]


class Watching:
    """One conversation, under guard. Mutable state: what was told, and where it stands.

    Args:
        discovery: Who asks.
        cloud: What is answered until it waits.
        is_list: Whether a query asks for the list.
    """

    def __init__(self, discovery: Discovery, cloud: Cloud, is_list: Callable[[Asked], bool]) -> None:
        self.lists: list[Snapshot] = []
        """All lists that were told, the one that was returned too."""
        self.waits_for: Query | NextPiece | None = None
        """What it waits for: a piece, or the answer to a question for the list; None if it has ended."""
        self.error: BaseException | None = None
        """How it failed, if it did."""
        self.opened: int = 0
        """How many answers were kept open."""
        self._cloud = cloud
        self._is_list = is_list
        self._conversation = discovery.poll(PollContext(NOW))
        self._go_on(None)

    def send(self, answer: Answer) -> None:
        """Answer what it waits for, and what it asks after that, until it waits again or ends."""
        self._go_on(answer)

    def open(self) -> None:
        """Accept the query that wants its answer kept open, if it waits for that."""
        if isinstance(self.waits_for, Query) and self.waits_for.watch:
            self.send(Reply(200))

    def give_up(self) -> None:
        """Close it, as the core does when nobody needs it any more."""
        with alone("a watch that is given up"):
            self._conversation.close()
        self.waits_for = None

    def _go_on(self, answer: Answer | None) -> None:
        for _ in range(2 * MOST_QUERIES):
            step = self._step(answer)
            if step is None:
                self.waits_for = None
                return
            if isinstance(step, Snapshot):
                self.lists.append(step)
                answer = Reply(200)
            elif step is NEXT_PIECE:
                self.waits_for = NEXT_PIECE
                return
            else:
                assert isinstance(step, Query | LocalQuery), f"a conversation yields a Query, not {type(step).__name__}"
                if isinstance(step, Query) and (step.watch or (self.lists and self._is_list(step))):
                    self.opened += step.watch
                    self.waits_for = step
                    return
                answer = self._cloud(step)
        raise AssertionError("a conversation asks and tells on and on, and never waits for a change")

    def _step(self, answer: Answer | None) -> object:
        """What is yielded next; None at the end."""
        yielded: object = None
        returned: list[object] = []
        with alone("a step of a watch", steps=None):
            try:
                if isinstance(answer, BaseException):
                    yielded = self._conversation.throw(answer)
                elif answer is None:
                    yielded = next(self._conversation)
                else:
                    yielded = self._conversation.send(answer)
            except StopIteration as end:
                returned.append(end.value)
            except Exception as error:  # noqa: BLE001 - what may be raised is checked below
                self.error = error
        assert self.error is None or isinstance(self.error, DiscoveryError | TransportError), (
            "what cannot be used is a DiscoveryError, "
            f"not {type(self.error).__name__} (its text is not shown: it may hold a secret)"
        )
        for result in returned:
            assert isinstance(result, Snapshot), f"a conversation returns a Snapshot, not {type(result).__name__}"
            self.lists.append(result)
        return yielded
