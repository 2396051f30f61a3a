# Made by tools/unasync.py from core/codings/_async/body.py. Change that file, then run the tool.
"""The body of a streamed reply, decoded as it arrives."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress

from ...endpoint import Endpoint
from ...errors import TransportError
from ...interfaces.transport import Body, Streamed
from ..decoders import BodyDecoder, CodingError
from ..replies import applied_codings, undecodable, without_coding

__all__ = ["DecodedBody", "decoded"]


class DecodedBody(Body):
    """Undoes the codings of another body.

    Args:
        body: As it comes over the wire. Closed with this one.
        codings: In the order in which they were applied.
        endpoint: Who answers, for the error.
        limit: Bytes that the body may stand for. None: any.
    """

    def __init__(self, body: Body, codings: Sequence[str], endpoint: Endpoint, limit: int | None) -> None:
        self._body = body
        self._endpoint = endpoint
        self._decoder = BodyDecoder(codings, limit)

    def __iter__(self) -> Iterator[bytes]:
        arriving = self._body.__iter__()
        try:
            for packed in arriving:
                for piece in self._decoder.feed(packed):
                    yield piece
            self._decoder.end()
        except CodingError as error:
            self.close()
            # What is closed ends at once. Without this look, trio would complain of iterators that were left lying.
            with suppress(TransportError):
                for _ in arriving:
                    pass
            raise undecodable(self._endpoint, error) from error

    def allow(self, seconds: float) -> bool:
        return self._body.allow(seconds)

    def close(self) -> None:
        self._body.close()


def decoded(streamed: Streamed, endpoint: Endpoint, limit: int | None) -> Streamed:
    """The reply with a body that is decoded as it arrives; the same one if there is nothing to decode."""
    codings = applied_codings(streamed.status, streamed.headers)
    if not codings:
        return streamed
    body = DecodedBody(streamed.body, codings, endpoint, limit)
    return Streamed(streamed.status, without_coding(streamed.headers), body)
