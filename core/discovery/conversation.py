"""Drives one conversation with a control plane: what it yields is asked, and what came of it is sent back.

What goes into an error text: the place that was asked without login and query, and what kind of thing went wrong. Never
the text of an exception that may quote what was sent: a peer that echoes, or a plug-in that fails, would put a token
into a log.
"""

from __future__ import annotations

import traceback
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Generator
from contextlib import suppress
from pathlib import PurePath
from typing import cast

from ..endpoint import Endpoint, Snapshot
from ..errors import CredentialError, DiscoveryError, TransportError
from ..interfaces.discovery import NEXT_PIECE, Conversation, Discovery, LocalQuery, PollContext, Query, Step
from ..message import Reply
from .asking import Asker
from .logins import LoginTurn

__all__ = ["GO_ON", "converse", "plugin_failure", "steps_of"]

_MAX_QUERIES = 20
"""A conversation that asks more often than this does not end by itself."""

GO_ON = Reply(200)
"""What a conversation is sent after a list that it yielded."""


async def converse(
    discovery: Discovery, context: PollContext, asker: Asker, tell: Callable[[Snapshot], Awaitable[None]]
) -> Snapshot:
    """Ask, and return what the control plane says.

    Args:
        discovery: What to ask.
        context: What the discovery may know.
        asker: Asks; what it keeps open is closed when this ends.
        tell: Takes each list that the conversation yields before its end.

    Raises:
        DiscoveryError: There is no usable answer. Whatever a discovery raises ends as one of these: a mistake in a
            plug-in must not stop the poller.
    """
    steps = steps_of(discovery, context)
    turn = LoginTurn(asker.logins)
    try:
        step = next(steps)
        while True:
            if isinstance(step, Snapshot):
                await tell(step)
                step = steps.send(GO_ON)
            else:
                answer = await turn.enter(step)
                if answer is None:
                    answer = await asker.ask(step)
                    turn.answered(answer)
                step = steps.send(answer)
                turn.leave()
    except StopIteration as end:
        snapshot: Snapshot = end.value
        return snapshot
    except CredentialError as error:
        turn.leave(error if error.permanent else None)
        raise
    finally:
        turn.leave()
        with suppress(DiscoveryError):  # it fails on its way out: nobody waits for it any more
            steps.close()
        await asker.end()


def steps_of(discovery: Discovery, context: PollContext) -> Generator[Step, Reply | BaseException, Snapshot]:
    """The decisions of `converse`, without I/O: yields what to ask or to tell, is sent what came of it.

    An error that is sent is thrown into the conversation, which may catch it and ask somebody else. Pieces of an open
    answer may come for ever, questions may not: after 20 of them a conversation that has told a list is ended as if it
    had returned it, so that the core decides when to ask anew; one that told none has failed.

    Raises:
        DiscoveryError: As for `converse`.
    """
    conversation: Conversation | None = None
    answer: Reply | BaseException | None = None
    told: Snapshot | None = None
    asked = 0
    while True:
        try:
            if conversation is None:
                conversation = _begun(discovery.poll(context))
            if answer is None:
                step = next(conversation)
            elif isinstance(answer, BaseException):
                step = conversation.throw(answer)
            else:
                step = conversation.send(answer)
        except StopIteration as end:
            return _checked(end.value)
        except DiscoveryError:
            raise
        except TransportError as error:
            raise DiscoveryError(str(error)) from error
        except BaseException as error:  # a plug-in that calls `sys.exit` ends its own question, not our thread
            raise plugin_failure(error) from error
        if isinstance(step, Snapshot):
            asked += answer is GO_ON  # lists without a question in between would go round for ever
            told = _checked(step)
        elif step is not NEXT_PIECE:
            asked += 1
            _check_query(step)
        if asked > _MAX_QUERIES:
            _end(conversation)
            if told is not None:
                return told
            raise DiscoveryError(f"the discovery asked {_MAX_QUERIES} times in one conversation and did not end")
        try:
            answer = yield step
        except GeneratorExit:
            _end(conversation)
            raise


def _begun(conversation: object) -> Conversation:
    if isinstance(conversation, Generator):
        return cast("Conversation", conversation)
    what = type(conversation).__name__
    if isinstance(conversation, Coroutine):
        conversation.close()  # nobody will await it
    if isinstance(conversation, Coroutine | AsyncGenerator):
        raise _mistake("the discovery plug-in's `poll` is `async`; it must be a plain generator")
    raise _mistake(f"the discovery plug-in's `poll` returned {what}; it must be a generator, with `yield`")


def _mistake(text: str) -> DiscoveryError:
    return DiscoveryError(f"{text}\nNext: report this to the author of the plug-in.")


def plugin_failure(error: BaseException) -> DiscoveryError:
    """What a mistake in a plug-in looks like: its type and its place. Its text may quote a secret."""
    places = traceback.extract_tb(error.__traceback__)
    place = f" at {PurePath(places[-1].filename).name}:{places[-1].lineno}" if places else ""
    return _mistake(f"the discovery plug-in failed with {type(error).__name__}{place}")


def _end(conversation: Conversation) -> None:
    try:
        conversation.close()
    except BaseException as error:  # it refuses to end, or fails on its way out
        raise plugin_failure(error) from error


def _checked(result: object) -> Snapshot:
    if not isinstance(result, Snapshot):
        raise _mistake(f"the discovery plug-in returned {type(result).__name__}, not a Snapshot")
    for entry in result.endpoints:
        if not isinstance(entry, Endpoint):  # pyright: ignore[reportUnnecessaryIsInstance] - a plug-in is not type-checked
            raise _mistake(f"the discovery plug-in listed {type(entry).__name__}, not an Endpoint")
    return result


def _check_query(query: object) -> None:
    if not isinstance(query, Query | LocalQuery):
        raise _mistake(f"the discovery plug-in yielded {type(query).__name__}, not a Query")
