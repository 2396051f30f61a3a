"""The body of a streamed reply, decoded as it arrives."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import suppress

from ...endpoint import Endpoint
from ...errors import TransportError
from ...interfaces.transport import AsyncBody, AsyncStreamed
from ..decoders import BodyDecoder, CodingError
from ..replies import applied_codings, undecodable, without_coding

__all__ = ["AsyncDecodedBody", "decoded_async"]


class AsyncDecodedBody(AsyncBody):
    """Undoes the codings of another body.

    Args:
        body: As it comes over the wire. Closed with this one.
        codings: In the order in which they were applied.
        endpoint: Who answers, for the error.
        limit: Bytes that the body may stand for. None: any.
    """

    def __init__(self, body: AsyncBody, codings: Sequence[str], endpoint: Endpoint, limit: int | None) -> None:
        self._body = body
        self._endpoint = endpoint
        self._decoder = BodyDecoder(codings, limit)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        arriving = self._body.__aiter__()
        try:
            async for packed in arriving:
                for piece in self._decoder.feed(packed):
                    yield piece
            self._decoder.end()
        except CodingError as error:
            await self.aclose()
            # What is closed ends at once. Without this look, trio would complain of iterators that were left lying.
            with suppress(TransportError):
                async for _ in arriving:
                    pass
            raise undecodable(self._endpoint, error) from error

    def allow(self, seconds: float) -> bool:
        return self._body.allow(seconds)

    async def aclose(self) -> None:
        await self._body.aclose()


def decoded_async(streamed: AsyncStreamed, endpoint: Endpoint, limit: int | None) -> AsyncStreamed:
    """The reply with a body that is decoded as it arrives; the same one if there is nothing to decode."""
    codings = applied_codings(streamed.status, streamed.headers)
    if not codings:
        return streamed
    body = AsyncDecodedBody(streamed.body, codings, endpoint, limit)
    return AsyncStreamed(streamed.status, without_coding(streamed.headers), body)
