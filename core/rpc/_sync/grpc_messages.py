# Made by tools/unasync.py from core/rpc/_async/grpc_messages.py. Change that file, then run the tool.
"""A stream of gRPC answers."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Any, Generic, Self, TypeVar, cast

from ...client.leasing import EndpointLease
from ...endpoint import Endpoint
from ...errors import AttemptRecord, AttemptsError, Phase, TransportError
from ..grpc_library import broken, is_rpc_error

__all__ = ["GrpcMessages"]

R = TypeVar("R")


class GrpcMessages(Generic[R]):
    """The answers of a streaming gRPC call, one by one. Close it, or read it to its end.

    The endpoint counts the call as open until then. Used by one thread or task at a time.

    Mutable state: what has begun, until the end.
    """

    def __init__(self, service: str, begin: Callable[[], tuple[EndpointLease, Any, list[R]]]) -> None:
        self._service = service
        self._begin = begin
        self._is_over = False
        self._lease: EndpointLease | None = None
        self._call: Any = None  # gRPC's call, which has no public type for both colours
        self._answers: Any = None

    @property
    def endpoint(self) -> Endpoint | None:
        """Who answers; None before the first message."""
        return None if self._lease is None else self._lease.endpoint

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> R:
        """The next message.

        Raises:
            AttemptsError: The answer broke off. It is not begun again: you may have used what came before.
        """
        if self._is_over:
            raise StopIteration
        if self._lease is None:
            self._lease, self._call, first = self._begin()
            self._answers = self._call.__iter__()
            if first:
                return first[0]
            self.close()
            raise StopIteration
        try:
            return cast("R", self._answers.__next__())
        except StopIteration:
            self.close()
            raise
        except Exception as error:
            failure = broken(cast("Any", error), Phase.STREAM) if is_rpc_error(error) else None
            self._end(failure)
            if failure is None:
                raise
            raise self._broken_off(self._lease, failure) from error
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Stop reading and end the call. Harmless when called again."""
        self._end(None)

    def _end(self, failure: TransportError | None) -> None:
        self._is_over = True
        if self._call is not None:
            self._call.cancel()
        if self._lease is not None:
            self._lease.close(failure)

    def _broken_off(self, lease: EndpointLease, failure: TransportError) -> AttemptsError:
        record = AttemptRecord(lease.endpoint, failure.phase, 0.0, None, str(failure))
        return AttemptsError(
            f"service {self._service!r}: the stream of {lease.endpoint.id} broke off: {failure}\n"
            "Next: call again, if a second run does no harm.",
            service=self._service,
            attempts=[record],
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        lease = getattr(self, "_lease", None)
        if lease is not None:
            lease.close()  # gRPC's call ends by itself when it is thrown away

    def __repr__(self) -> str:
        return f"<{type(self).__name__} from {self.endpoint.id if self.endpoint else 'nobody yet'}>"
