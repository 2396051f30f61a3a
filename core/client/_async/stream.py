"""A reply that is read piece by piece."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import cast

from ...dispatch.call import Call
from ...endpoint import Endpoint
from ...errors import AttemptRecord, AttemptsError, TransportError
from ...interfaces.transport import AsyncBody
from ...message import Headers, Reply, header

__all__ = ["AsyncReplyStream"]


class AsyncReplyStream:
    """An answer whose body may still be on the wire. Close it, or read it to its end.

    The endpoint counts the call as open until then.

    Attributes:
        status: HTTP status code.
        headers: Header fields.
        endpoint: Who answers.
        attempts: How many attempts the call took.
    """

    def __init__(self, service: str, reply: Reply, call: Call) -> None:
        self.status: int = reply.status
        self.headers: Headers = reply.headers
        self.endpoint: Endpoint | None = reply.endpoint
        self.attempts: int = reply.attempts
        self._service = service
        self._content = reply.content
        self._call = call
        # The shell of this colour has put it there.
        self._body = None if call.attempt is None else cast("AsyncBody | None", call.attempt.body)

    @property
    def ok(self) -> bool:
        """Whether the status says success (2xx)."""
        return 200 <= self.status < 300

    def header(self, name: str) -> str | None:
        """The first value of a header field, or None."""
        return header(self.headers, name)

    async def aiter_bytes(self) -> AsyncIterator[bytes]:
        """The pieces of the body as they arrive.

        Raises:
            AttemptsError: The answer broke off. It is not begun again: you may have used what came before.
        """
        if self._body is None:
            if self._content:
                yield self._content
            return
        try:
            async for piece in self._body:
                yield piece
        except TransportError as error:
            raise self._broken(error) from error
        finally:
            await self.aclose()

    async def aread(self) -> bytes:
        """The whole body.

        Raises:
            AttemptsError: The answer broke off.
        """
        return b"".join([piece async for piece in self.aiter_bytes()])

    async def aclose(self) -> None:
        """Stop reading and free the connection. Harmless when called again."""
        try:
            if self._body is not None:
                await self._body.aclose()
        finally:
            if self._call.attempt is not None:
                self._call.attempt.lease.release()

    def _broken(self, error: TransportError) -> AttemptsError:
        attempt = self._call.attempt
        assert attempt is not None  # noqa: S101 - a body comes from an attempt
        attempt.member.load.record_broken(error)
        now = time.monotonic()
        began = attempt.lease.started_at
        record = AttemptRecord(
            attempt.member.endpoint,
            error.phase,
            now - began,
            self.status,
            str(error),
            began - self._call.started_at,
        )
        return AttemptsError(
            f"service {self._service!r}: the answer of {attempt.member.endpoint.id} broke off: {error}\n"
            "Next: call again, if a second run does no harm.",
            service=self._service,
            attempts=[*self._call.records, record],
            list_age=attempt.lane.route.list_age(),
            elapsed=now - self._call.started_at,
        )

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.status} from {self.endpoint.id if self.endpoint else '?'}>"
