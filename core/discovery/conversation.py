"""Drives one conversation with a control plane: the only place where discovery does I/O.

What goes into an error text: the place that was asked without login and query, and what kind of thing went wrong. Never
the text of an exception that may quote what was sent: a peer that echoes, or a plug-in that fails, would put a token
into a log.
"""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Generator
from pathlib import PurePath

import httpx

from ..endpoint import Endpoint, Snapshot
from ..errors import DiscoveryError, DiscoveryUnreadable, Phase, TransportError
from ..interfaces.discovery import Conversation, Discovery, LocalQuery, PollContext, Query
from ..message import Reply
from ..os_reason import os_reason
from .budget import BudgetKeeper
from .local import LocalBusy, LocalRunner

__all__ = ["MAX_ANSWER_BYTES", "converse", "plugin_failure", "steps_of"]

MAX_ANSWER_BYTES = 16 * 1024 * 1024
"""A longer answer is refused: ten thousand endpoints need about one megabyte."""

_MAX_QUERIES = 20
"""A conversation that asks more often than this does not end by itself."""

_HEADERS = (("user-agent", "directlane"), ("accept", "*/*"), ("accept-encoding", "identity"))
"""Sent with each query that has none of its own."""


async def converse(
    discovery: Discovery,
    context: PollContext,
    http: httpx.AsyncBaseTransport,
    local: LocalRunner,
    keeper: BudgetKeeper,
    limit: float,
) -> Snapshot:
    """Ask, and return what the control plane says.

    Args:
        discovery: What to ask.
        context: What the discovery may know.
        http: Sends the queries. A transport without a client on top: a client logs the whole URL of each request,
            keeps cookies and follows the environment.
        local: Runs what is not asked over HTTP.
        keeper: Lets each query go when its budgets allow it.
        limit: Seconds that one query may take, from its start to the last byte of its answer.

    Raises:
        DiscoveryError: There is no usable answer. Whatever a discovery raises ends as one of these: a mistake in a
            plug-in must not stop the poller.
    """
    steps = steps_of(discovery, context)
    try:
        query = next(steps)
        while True:
            if isinstance(query, LocalQuery):
                answer = await _ask_locally(query, discovery, local, keeper, limit)
            else:
                answer = await _ask(query, http, keeper, limit)
            query = steps.send(answer)
    except StopIteration as end:
        snapshot: Snapshot = end.value
        return snapshot


def steps_of(
    discovery: Discovery, context: PollContext
) -> Generator[Query | LocalQuery, Reply | BaseException, Snapshot]:
    """The decisions of `converse`, without I/O: yields what to ask, is sent what came of it.

    An error that is sent is thrown into the conversation, which may catch it and ask somebody else.

    Raises:
        DiscoveryError: As for `converse`.
    """
    conversation: Conversation | None = None
    answer: Reply | BaseException | None = None
    for _ in range(_MAX_QUERIES):
        try:
            if conversation is None:
                conversation = discovery.poll(context)
            if answer is None:
                query = next(conversation)
            elif isinstance(answer, BaseException):
                query = conversation.throw(answer)
            else:
                query = conversation.send(answer)
        except StopIteration as end:
            return _checked(end.value)
        except DiscoveryError:
            raise
        except TransportError as error:
            raise DiscoveryError(str(error)) from error
        except BaseException as error:  # a plug-in that calls `sys.exit` ends its own question, not our thread
            raise plugin_failure(error) from error
        answer = yield _checked_query(query)
    if conversation is not None:
        _end(conversation)
    raise DiscoveryError(f"the discovery asked {_MAX_QUERIES} times in one conversation and did not end")


def plugin_failure(error: BaseException) -> DiscoveryError:
    """What a mistake in a plug-in looks like: its type and its place. Its text may quote a secret."""
    places = traceback.extract_tb(error.__traceback__)
    place = f" at {PurePath(places[-1].filename).name}:{places[-1].lineno}" if places else ""
    return DiscoveryError(f"the discovery plug-in failed with {type(error).__name__}{place}")


def _end(conversation: Conversation) -> None:
    try:
        conversation.close()
    except BaseException as error:  # it refuses to end, or fails on its way out
        raise plugin_failure(error) from error


def _checked(result: object) -> Snapshot:
    if not isinstance(result, Snapshot):
        raise DiscoveryUnreadable(f"the discovery plug-in returned {type(result).__name__}, not a Snapshot")
    for entry in result.endpoints:
        if not isinstance(entry, Endpoint):  # pyright: ignore[reportUnnecessaryIsInstance] - a plug-in is not type-checked
            raise DiscoveryUnreadable(f"the discovery plug-in listed {type(entry).__name__}, not an Endpoint")
    return result


def _checked_query(query: object) -> Query | LocalQuery:
    if not isinstance(query, Query | LocalQuery):
        raise DiscoveryError(f"the discovery plug-in yielded {type(query).__name__}, not a Query")
    return query


async def _ask(
    query: Query, http: httpx.AsyncBaseTransport, keeper: BudgetKeeper, limit: float
) -> Reply | TransportError:
    request, place = _request(query, limit)
    try:
        # The limit is for the query as a whole: a peer that sends one byte now and then does not stretch it. Waiting
        # for a budget is not part of it.
        async with keeper.spend(query.budgets), asyncio.timeout(limit):
            reply = await http.handle_async_request(request)
            try:
                content = bytearray()
                async for piece in reply.aiter_bytes():
                    content += piece
                    if len(content) > MAX_ANSWER_BYTES:
                        raise DiscoveryUnreadable(f"{place} sent more than {MAX_ANSWER_BYTES // 2**20} MiB")
            finally:
                await reply.aclose()
            return Reply(reply.status_code, tuple(reply.headers.multi_items()), bytes(content))
    except (httpx.TimeoutException, TimeoutError):
        return TransportError(f"no answer from {place} within {limit:g} s", phase=Phase.WAIT, timed_out=True)
    except httpx.ConnectError as error:
        return TransportError(f"cannot connect to {place}: {os_reason(error)}", phase=Phase.CONNECT)
    except httpx.LocalProtocolError as error:  # its text quotes the header that cannot be sent
        raise _unsendable(place) from error
    except httpx.UnsupportedProtocol as error:
        raise DiscoveryError(f"{place} is neither http nor https") from error
    except httpx.RemoteProtocolError:  # its text quotes the peer, which may echo what we sent
        return TransportError(f"{place} broke off, or does not speak HTTP", phase=Phase.WAIT)
    except httpx.HTTPError as error:
        return TransportError(f"{place} broke off: {str(error) or type(error).__name__}", phase=Phase.WAIT)


async def _ask_locally(
    query: LocalQuery, discovery: Discovery, local: LocalRunner, keeper: BudgetKeeper, limit: float
) -> Reply | BaseException:
    try:
        question = discovery.identity, query.what
        hash(question)
    except Exception as error:  # noqa: BLE001 - a plug-in may raise anything
        return plugin_failure(error)
    try:
        async with keeper.spend(query.budgets), asyncio.timeout(limit):
            answer = await local.run(question, query.run)
    except TimeoutError:  # ours: what `run` raises is not raised here
        return TransportError(f"no answer from {query.what} within {limit:g} s", phase=Phase.WAIT, timed_out=True)
    except LocalBusy as busy:
        return TransportError(f"cannot ask {query.what}: {busy}", phase=Phase.CONNECT)
    if isinstance(answer, OSError):
        timed_out = isinstance(answer, TimeoutError)
        broken = TransportError(f"{query.what}: {os_reason(answer)}", phase=Phase.WAIT, timed_out=timed_out)
        broken.__cause__ = answer
        return broken
    if isinstance(answer, Reply) and len(answer.content) > MAX_ANSWER_BYTES:
        return DiscoveryUnreadable(f"{query.what} has more than {MAX_ANSWER_BYTES // 2**20} MiB")
    if isinstance(answer, Reply | BaseException):
        return answer
    return DiscoveryError(f"the discovery plug-in answered {type(answer).__name__} for {query.what}, not a Reply")


def _request(query: Query, limit: float) -> tuple[httpx.Request, str]:
    """The query as httpx wants it, and its place for error texts."""
    place = "the control plane"
    try:
        url = httpx.URL(query.url)
        place = str(url.copy_with(query=None, userinfo=b"", fragment=None))
        given = {name.lower() for name, _ in query.headers}
        ours = [pair for pair in _HEADERS if pair[0] not in given]
        limits = dict.fromkeys(("connect", "pool", "read", "write"), limit)
        request = httpx.Request(
            query.method,
            url,
            headers=[*query.headers, *ours],
            content=query.content or None,
            extensions={"timeout": limits},
        )
    except Exception as error:  # a URL, method or header that is none, of whatever type
        raise _unsendable(place) from error
    return request, place


def _unsendable(place: str) -> DiscoveryError:
    return DiscoveryError(
        f"the query to {place} cannot be sent: its URL, method or a header has characters that HTTP does not allow. "
        "Next: look for line breaks, spaces or non-ASCII characters in the route's settings and credential"
    )
