"""Asks for one poller: over HTTP, in an answer that stays open, or in a thread. The only I/O of discovery.

A peer that answers slowly, endlessly or not at all ends as a `TransportError` or a `DiscoveryError` within the limit,
and so does everything that can go wrong on the way.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Generator, Hashable
from contextlib import contextmanager, suppress

import httpx

from ..errors import DiscoveryError, DiscoveryUnreadable, Phase, TransportError
from ..interfaces.discovery import LocalQuery, NextPiece, Query
from ..message import Reply
from ..os_reason import os_reason
from .budget import BudgetKeeper
from .local import LocalBusy, LocalRunner
from .logins import Logins

__all__ = ["IDLE_LIMIT", "MAX_ANSWER_BYTES", "Asker"]

MAX_ANSWER_BYTES = 16 * 1024 * 1024
"""A longer answer, or piece of one, is refused: ten thousand endpoints need about one megabyte."""

IDLE_LIMIT = 60.0
"""Seconds that a piece of an open answer may take, if its query does not say. A peer that died in silence is noticed
after this time, and no sooner."""

_LIMITS = httpx.Limits(max_connections=2, max_keepalive_connections=1, keepalive_expiry=30)

_HEADERS = (("user-agent", "directlane"), ("accept", "*/*"), ("accept-encoding", "identity"))
"""Sent with each query that has none of its own."""


class Asker:
    """Asks the questions of one poller, one at a time.

    Mutable state: the answer that is open, and the connections. Belongs to one event loop.

    Args:
        identity: Who asks. Local questions with the same text from the same asker are one question.
        tls: For https, where a query names no authorities of its own.
        keeper: Lets each query go when its budgets allow it.
        local: Runs what is not asked over HTTP.
        limit: Seconds that a query may take if it does not say, from its start to the last byte of its answer. Waiting
            for a budget is not part of it.
        logins: Of the process. Default: nobody else logs in.
    """

    def __init__(
        self,
        identity: Hashable,
        tls: ssl.SSLContext,
        keeper: BudgetKeeper,
        local: LocalRunner,
        limit: float,
        logins: Logins | None = None,
    ) -> None:
        self.logins = logins
        self._identity = identity
        self._keeper = keeper
        self._local = local
        self._limit = limit
        self._usual = _transport(tls)
        self._trusting: tuple[str, httpx.AsyncHTTPTransport] | None = None
        self._open: _Open | None = None

    async def ask(self, step: Query | LocalQuery | NextPiece) -> Reply | BaseException:
        """The answer; or what is to be thrown into the conversation.

        Raises:
            DiscoveryError: The question cannot be asked at all, or the answer is too large.
        """
        if isinstance(step, NextPiece):
            return await self._next_piece()
        await self.end()
        if isinstance(step, LocalQuery):
            return await self._ask_locally(step)
        return await self._ask(step)

    async def end(self) -> None:
        """Close the answer that is open, if there is one."""
        ending, self._open = self._open, None
        if ending is not None:
            await ending.close()

    async def close(self) -> None:
        """Close everything."""
        await self.end()
        await self._usual.aclose()
        if self._trusting is not None:
            await self._trusting[1].aclose()

    async def _ask(self, query: Query) -> Reply | TransportError:
        limit = self._limit if query.timeout is None or query.watch else query.timeout
        request, place = _request(query, limit)
        try:
            with _told(place, limit):
                http = await self._transport_for(query, place)
                # The limit is for the query as a whole: a peer that sends one byte now and then does not stretch it.
                async with self._keeper.spend(query.budgets, limit), asyncio.timeout(limit):
                    response = await http.handle_async_request(request)
                    opened = _Open(response, place, IDLE_LIMIT if query.timeout is None else query.timeout)
                    content = b""
                    if query.watch:
                        self._open = opened
                    else:
                        content = await opened.rest()
                    return Reply(response.status_code, tuple(response.headers.multi_items()), content)
        except TransportError as error:
            return error

    async def _next_piece(self) -> Reply | TransportError:
        opened = self._open
        if opened is None:
            raise DiscoveryError("the discovery plug-in reads on in an answer that is not open, or at its end")
        try:
            with _told(opened.place, opened.idle_limit):
                async with asyncio.timeout(opened.idle_limit):
                    piece = await opened.next_piece()
        except TransportError as error:
            await self.end()
            return error
        if not piece:
            await self.end()
        return Reply(opened.status, content=piece)

    async def _ask_locally(self, query: LocalQuery) -> Reply | BaseException:
        try:
            async with self._keeper.spend(query.budgets), asyncio.timeout(self._limit):
                answer = await self._local.run((self._identity, query.what), query.run)
        except TimeoutError:  # ours: what `run` raises is not raised here
            text = f"no answer from {query.what} within {self._limit:g} s"
            return TransportError(text, phase=Phase.WAIT, timed_out=True)
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

    async def _transport_for(self, query: Query, place: str) -> httpx.AsyncHTTPTransport:
        """The connections that trust whom the query trusts. Only the newest authorities are kept: they are renewed."""
        if query.trust is None:
            return self._usual
        if self._trusting is None or self._trusting[0] != query.trust:
            try:
                # Without a certificate, the usual authorities would be trusted.
                tls = ssl.create_default_context(cadata=query.trust or "none")
            except (ssl.SSLError, ValueError) as error:
                raise DiscoveryError(
                    f"the certificates that are to be trusted for {place} cannot be read. "
                    "Next: look whether the route names a file with certificates in PEM form"
                ) from error
            old, self._trusting = self._trusting, (query.trust, _transport(tls))
            if old is not None:
                await old[1].aclose()
        return self._trusting[1]


class _Open:
    """An answer whose body is still to come."""

    def __init__(self, response: httpx.Response, place: str, idle_limit: float) -> None:
        self.place = place
        self.idle_limit = idle_limit
        self.status = response.status_code
        self._response = response
        self._chunks: AsyncIterator[bytes] = response.aiter_bytes()
        self._come = bytearray()

    async def rest(self) -> bytes:
        """The whole body."""
        try:
            async for chunk in self._chunks:
                self._add(chunk)
        finally:
            await self._response.aclose()
        return bytes(self._come)

    async def next_piece(self) -> bytes:
        """One line with its end; the last one may have none. Empty at the end of the body."""
        # Lines that came together would be read without a pause, and nobody else would get a turn.
        await asyncio.sleep(0)
        seen = 0
        while (end := self._come.find(b"\n", seen) + 1) == 0:
            seen = len(self._come)
            chunk = await anext(self._chunks, b"")
            if not chunk:
                end = seen
                break
            self._add(chunk)
        piece = bytes(self._come[:end])
        del self._come[:end]
        return piece

    def _add(self, chunk: bytes) -> None:
        self._come += chunk
        if len(self._come) > MAX_ANSWER_BYTES:
            raise DiscoveryUnreadable(f"{self.place} sent more than {MAX_ANSWER_BYTES // 2**20} MiB")

    async def close(self) -> None:
        with suppress(httpx.HTTPError):  # it breaks off while we leave it
            await self._response.aclose()


def _transport(tls: ssl.SSLContext) -> httpx.AsyncHTTPTransport:
    # A transport without a client on top: a client logs the whole URL of each request, keeps cookies and follows the
    # environment. No environment: a proxy meant for web pages must not see the control plane's tokens.
    return httpx.AsyncHTTPTransport(limits=_LIMITS, verify=tls, trust_env=False)


@contextmanager
def _told(place: str, limit: float) -> Generator[None, None, None]:
    """What goes wrong on the wire, in our words."""
    try:
        yield
    except (httpx.TimeoutException, TimeoutError) as error:
        text = f"no answer from {place} within {limit:g} s"
        raise TransportError(text, phase=Phase.WAIT, timed_out=True) from error
    except httpx.ConnectError as error:
        raise TransportError(f"cannot connect to {place}: {os_reason(error)}", phase=Phase.CONNECT) from error
    except httpx.LocalProtocolError as error:  # its text quotes the header that cannot be sent
        raise _unsendable(place) from error
    except httpx.UnsupportedProtocol as error:
        raise DiscoveryError(f"{place} is neither http nor https") from error
    except httpx.RemoteProtocolError as error:  # its text quotes the peer, which may echo what we sent
        raise TransportError(f"{place} broke off, or does not speak HTTP", phase=Phase.WAIT) from error
    except httpx.HTTPError as error:
        raise TransportError(f"{place} broke off: {str(error) or type(error).__name__}", phase=Phase.WAIT) from error


def _request(query: Query, limit: float) -> tuple[httpx.Request, str]:
    """The query as httpx wants it, and its place for error texts."""
    place = "the control plane"
    try:
        url = httpx.URL(query.url)
        place = str(url.copy_with(query=None, userinfo=b"", fragment=None))
        given = {name.lower() for name, _ in query.headers}
        ours = [pair for pair in _HEADERS if pair[0] not in given]
        # How long reading may take is measured from outside: a piece of an open answer takes as long as it takes.
        limits = {"connect": limit, "pool": limit, "write": limit, "read": None}
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
