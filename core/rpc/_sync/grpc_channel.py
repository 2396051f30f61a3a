# Made by tools/unasync.py from core/rpc/_async/grpc_channel.py. Change that file, then run the tool.
"""A gRPC channel of one service: it looks like one channel and is one for each endpoint, balanced per call."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterable
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast, overload

from ...client._sync.service import Service
from ...client.leasing import EndpointLease
from ...errors import Phase
from ..grpc_library import (
    Metadata,
    broken,
    check_grpc,
    is_rpc_error,
    merged,
    open_channel,
)
from ..readiness import Readiness, connected
from .grpc_messages import GrpcMessages

if TYPE_CHECKING:
    import grpc

__all__ = ["GrpcChannel"]

Q = TypeVar("Q")
R = TypeVar("R")


class GrpcChannel:
    """A gRPC channel for generated stubs, or for use by hand, whose calls are balanced over the service's instances.

    Each endpoint has one connection of its own, closed when the endpoint leaves the list or the client is closed. Each
    call picks an endpoint, as `Service.send` does, and goes elsewhere if there is no connection; after that it is
    repeated only if it is repeatable. A stream can go elsewhere until its first message.

    Calls take `timeout` (seconds; for a stream until its end), `metadata`, `key` and `repeatable` by keyword. What a
    server answers is gRPC's to raise (`grpc.RpcError`); when no server could answer, the errors are those of
    `Service.send`. Client streaming is not balanced: lease an endpoint and use a channel of your own.

    Args:
        service: Whose instances are called.
        options: gRPC channel options; they win over ours.
        credentials: gRPC channel credentials. Default: TLS with the usual roots for endpoints of scheme `https` or
            `grpcs`, else none.
        provider_headers: Whether the provider's header fields, such as its token, go along as metadata.

    Raises:
        ModuleNotFoundError: grpcio is not installed.
    """

    def __init__(
        self,
        service: Service,
        *,
        options: Iterable[tuple[str, object]] = (),
        credentials: grpc.ChannelCredentials | None = None,
        provider_headers: bool = True,
    ) -> None:
        check_grpc()
        self.service = service
        self._options = tuple(options)
        self._credentials = credentials
        self._provider_headers = provider_headers

    @overload
    def unary_unary(self, method: str) -> Unary[bytes, bytes]: ...
    @overload
    def unary_unary(
        self,
        method: str,
        request_serializer: Callable[[Q], bytes],
        response_deserializer: Callable[[bytes], R],
        _registered_method: bool | None = None,  # noqa: FBT001 - generated stubs give it by keyword
    ) -> Unary[Q, R]: ...
    def unary_unary(
        self,
        method: str,
        request_serializer: Callable[[Any], bytes] | None = None,
        response_deserializer: Callable[[bytes], Any] | None = None,
        _registered_method: bool | None = None,  # noqa: FBT001 - generated stubs give it by keyword
    ) -> Unary[Any, Any]:
        """A callable for a method `/package.Service/Method` with one request and one answer. Default: bytes."""
        return Unary(self, method, request_serializer, response_deserializer)

    @overload
    def unary_stream(self, method: str) -> UnaryStream[bytes, bytes]: ...
    @overload
    def unary_stream(
        self,
        method: str,
        request_serializer: Callable[[Q], bytes],
        response_deserializer: Callable[[bytes], R],
        _registered_method: bool | None = None,  # noqa: FBT001 - generated stubs give it by keyword
    ) -> UnaryStream[Q, R]: ...
    def unary_stream(
        self,
        method: str,
        request_serializer: Callable[[Any], bytes] | None = None,
        response_deserializer: Callable[[bytes], Any] | None = None,
        _registered_method: bool | None = None,  # noqa: FBT001 - as above
    ) -> UnaryStream[Any, Any]:
        """A callable for a method with one request and a stream of answers. Default: bytes."""
        return UnaryStream(self, method, request_serializer, response_deserializer)

    def stream_unary(self, method: str, *_: object, **__: object) -> Callable[..., Any]:  # never returns a value
        """Not balanced: the callable raises NotImplementedError. It is there so that stubs can be made."""
        return _refusal(method)

    def stream_stream(self, method: str, *_: object, **__: object) -> Callable[..., Any]:  # as above
        """Not balanced: the callable raises NotImplementedError. It is there so that stubs can be made."""
        return _refusal(method)

    def link(self, lease: EndpointLease) -> Link:
        """The connection to a leased endpoint."""
        return self.service.attachments.get(
            lease.held.lane,
            self,
            lambda: Link(open_channel(lease.endpoint, self._options, self._credentials)),
        )

    def metadata(self, lease: EndpointLease, metadata: Metadata) -> Metadata:
        """What goes along with a call."""
        return merged(lease.headers, metadata) if self._provider_headers else metadata

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.service.name!r}>"


class Link:
    """One endpoint's channel and what is made once for it.

    Mutable state: the callables by their maker, and what is known of the connection.
    """

    def __init__(self, channel: grpc.Channel) -> None:
        self._channel = channel
        self._callables: dict[Hashable, Any] = {}  # gRPC's multi-callables, of any request and answer
        self._readiness = Readiness()

    def connect(self, lease: EndpointLease) -> None:
        """Have a connection.

        Raises:
            TransportError: With phase CONNECT.
        """
        seconds = min(lease.connect_timeout, lease.remaining)
        connected(self._channel, seconds, self._readiness)

    def doubt(self) -> None:
        """A call failed in a way that a lost connection explains."""
        self._readiness.doubt()

    def callable(self, maker: Hashable, make: Callable[[grpc.Channel], Any]) -> Any:
        """gRPC's own callable of this channel."""
        found = self._callables.get(maker)
        if found is None:
            found = self._callables.setdefault(maker, make(self._channel))
        return found

    def close(self) -> None:
        """Close the connection."""
        self._channel.close()


class Unary(Generic[Q, R]):
    """A method with one request and one answer. Get it from a channel."""

    def __init__(
        self,
        channel: GrpcChannel,
        method: str,
        serializer: Callable[[Q], bytes] | None,
        deserializer: Callable[[bytes], R] | None,
    ) -> None:
        self._owner = channel
        self._method = method
        self._make: Callable[[Any], Any] = lambda channel: channel.unary_unary(method, serializer, deserializer)

    def __call__(
        self,
        request: Q,
        *,
        timeout: float | None = None,
        metadata: Metadata | None = None,
        key: str | bytes | None = None,
        repeatable: bool | None = None,
    ) -> R:
        """Call the method; see the channel."""

        def attempt(lease: EndpointLease) -> R:
            link = self._owner.link(lease)
            link.connect(lease)
            call = link.callable(self, self._make)
            try:
                answer = call(request, timeout=lease.remaining, metadata=self._owner.metadata(lease, metadata or ()))
            except Exception as error:
                judge(lease, link, error)
                raise
            return cast("R", answer)

        return self._owner.service.run(attempt, key=key, timeout=timeout, repeatable=repeatable)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._method}>"


class UnaryStream(Generic[Q, R]):
    """A method with one request and a stream of answers. Get it from a channel."""

    def __init__(
        self,
        channel: GrpcChannel,
        method: str,
        serializer: Callable[[Q], bytes] | None,
        deserializer: Callable[[bytes], R] | None,
    ) -> None:
        self._owner = channel
        self._method = method
        self._make: Callable[[Any], Any] = lambda channel: channel.unary_stream(method, serializer, deserializer)

    def __call__(
        self,
        request: Q,
        *,
        timeout: float | None = None,
        metadata: Metadata | None = None,
        key: str | bytes | None = None,
        repeatable: bool | None = None,
    ) -> GrpcMessages[R]:
        """Call the method; see the channel. The call begins when the first message is asked for."""
        service = self._owner.service
        ends_at = time.monotonic() + (service.plan.calls.timeout if timeout is None else timeout)

        def attempt(lease: EndpointLease) -> tuple[EndpointLease, Any, list[R]]:
            link = self._owner.link(lease)
            link.connect(lease)
            call = link.callable(self, self._make)(
                request,
                timeout=max(0.0, ends_at - time.monotonic()),
                metadata=self._owner.metadata(lease, metadata or ()),
            )
            try:
                answers = call.__iter__()
                first = [answers.__next__()]
            except StopIteration:
                first = []
            except Exception as error:
                judge(lease, link, error)
                raise
            except BaseException:
                call.cancel()
                raise
            return lease, call, first

        return GrpcMessages(
            service.name,
            lambda: service.run(attempt, key=key, timeout=timeout, repeatable=repeatable, keep=True),
        )

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._method}>"


def judge(lease: EndpointLease, link: Link, error: Exception) -> None:
    """Report what an exception of a call says about the endpoint.

    Raises:
        TransportError: The way to the endpoint failed.
    """
    if not is_rpc_error(error):
        return
    failure = broken(cast("Any", error), Phase.WAIT)
    if failure is None:
        lease.succeeded()  # the server answered; what it says is the caller's
        return
    link.doubt()
    raise failure from error


def _refusal(method: str) -> Callable[..., Any]:
    def refuse(*_: object, **__: object) -> Any:
        raise NotImplementedError(
            f"{method} streams its requests, which cannot be sent twice and are not balanced per call\n"
            "Next: lease an endpoint (`Service.lease`) and use a gRPC channel of your own to it."
        )

    return refuse
