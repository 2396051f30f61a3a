"""Drives a discovery against a cloud that is a function: no socket, no clock, no thread."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from ..endpoint import Snapshot
from ..errors import DiscoveryError, TransportError
from ..interfaces.discovery import Conversation, Discovery, LocalQuery, PollContext, Query, Upkeep
from ..message import Reply
from .guard import STEPS, alone

__all__ = ["MOST_QUERIES", "NOW", "Answer", "Asked", "Cloud", "Told", "talk"]

NOW = 1_800_000_000.0
"""The time of all conversations here: seconds since 1970."""

MOST_QUERIES = 20
"""The core ends a conversation that asks more often than this."""

Asked: TypeAlias = Query | LocalQuery
Answer: TypeAlias = Reply | BaseException
"""A reply, or what came instead: a `TransportError`."""

Cloud: TypeAlias = Callable[[Asked], Answer]


@dataclass
class Told:
    """How a conversation went: either `snapshot` or `error` is there."""

    queries: list[Asked] = field(default_factory=list[Asked])
    snapshot: Snapshot | None = None
    error: BaseException | None = None

    @property
    def believed(self) -> Snapshot:
        """The snapshot.

        Raises:
            AssertionError: There is none.
        """
        assert self.snapshot is not None, f"a good answer was not believed: {self.error!r}"
        return self.snapshot


def talk(
    discovery: Discovery | Upkeep,
    cloud: Cloud,
    *,
    unix_time: float = NOW,
    previous: Snapshot | None = None,
    reauthenticate: bool = False,
    steps: int | None = STEPS,
) -> Told:
    """One conversation, under guard.

    Args:
        discovery: Who asks: a discovery, or an upkeep.
        cloud: What is answered.
        unix_time: The time that the discovery is told.
        previous: The list that is believed before.
        reauthenticate: Whether an instance refused our credential.
        steps: What each step of the conversation may take; see `guard.alone`.

    Raises:
        AssertionError: A rule that holds for every conversation was broken.
    """
    told = Told()
    context = PollContext(unix_time, previous, reauthenticate)
    conversation: Conversation | None = None
    answer: Answer | None = None
    while len(told.queries) <= MOST_QUERIES:
        asked: object = None
        result: object = None
        is_over = False
        with alone("a step of the conversation", steps=steps):
            try:
                if conversation is None:
                    conversation = discovery.poll(context)
                if isinstance(answer, BaseException):
                    asked = conversation.throw(answer)
                elif answer is None:
                    asked = next(conversation)
                else:
                    asked = conversation.send(answer)
            except StopIteration as end:
                result, is_over = end.value, True
            except Exception as error:  # noqa: BLE001 - what may be raised is checked below
                told.error, is_over = error, True
        if told.error is not None:
            assert isinstance(told.error, DiscoveryError | TransportError), (
                "an answer that cannot be used is a DiscoveryError, "
                f"not {type(told.error).__name__} (its text is not shown: it may hold a secret)"
            )
            return told
        if isinstance(asked, Snapshot) and conversation is not None:
            # It goes on: a watch. What is told first is what a poll would have returned.
            conversation.close()
            result, is_over = asked, True
        if is_over:
            assert isinstance(result, Snapshot), f"a conversation returns a Snapshot, not {type(result).__name__}"
            told.snapshot = result
            return told
        assert isinstance(asked, Query | LocalQuery), f"a conversation yields a Query, not {type(asked).__name__}"
        told.queries.append(asked)
        answer = cloud(asked)
    raise AssertionError(f"a conversation asked more than {MOST_QUERIES} times and did not end")
