"""What all doors share: the words of httpx and httpx2 in, ours out, and back. Imports neither.

Both libraries have the same names for the same things, as types that are not related. So a request is met by its shape
(`DoorRequest`), and the errors to raise are handed in (`DoorErrors`).
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypedDict, cast

from ..errors import CallError, DeadlineError, NoEndpointError, Phase, TransportError
from ..message import Headers

__all__ = [
    "DoorErrors",
    "DoorOptions",
    "DoorRequest",
    "DoorWords",
    "RepeatedRetriesWarning",
    "door_url",
    "raw_headers",
]

_NOT_A_LABEL = re.compile(r"[^a-z0-9]+")

# The channel to the instance makes its own, `content-length` of a body in memory as well.
_HOP_BY_HOP = frozenset(
    {"host", "connection", "keep-alive", "proxy-connection", "te", "upgrade", "transfer-encoding", "content-length"}
)

_RETRY_COUNT = "x-stainless-retry-count"
"""The SDKs of OpenAI and Anthropic say here how often they have repeated the request by themselves."""


_GIVEN = {"key", "repeatable", "size"}
"""What `extensions["directlane"]` of a request may hold."""


class RepeatedRetriesWarning(UserWarning):
    """An SDK repeats, through a door, what directlane repeats already: set its `max_retries=0`."""


class _Url(Protocol):
    @property
    def host(self) -> str: ...
    @property
    def raw_path(self) -> bytes: ...


class _Fields(Protocol):
    @property
    def raw(self) -> Sequence[tuple[bytes, bytes]]: ...


class DoorRequest(Protocol):
    """What a door reads of a request of either library."""

    @property
    def method(self) -> str:
        """The method, in capitals."""
        ...

    @property
    def url(self) -> _Url:
        """Where it goes; the host must be the door's."""
        ...

    @property
    def headers(self) -> _Fields:
        """The header fields, in their order."""
        ...

    @property
    def extensions(self) -> Mapping[str, Any]:
        """What goes along without being sent, such as `directlane`."""
        ...

    @property
    def stream(self) -> object:
        """The body, not read yet."""
        ...

    def read(self) -> bytes:
        """The whole body; sync code calls this one."""
        ...

    async def aread(self) -> bytes:
        """The whole body; async code calls this one."""
        ...


@dataclass(frozen=True, slots=True)
class DoorErrors:
    """The error classes of one library. Each is called with a text and `request=`."""

    unsupported_protocol: Callable[..., Exception]
    connect: Callable[..., Exception]
    connect_timeout: Callable[..., Exception]
    write: Callable[..., Exception]
    write_timeout: Callable[..., Exception]
    read: Callable[..., Exception]
    read_timeout: Callable[..., Exception]


class DoorOptions(TypedDict):
    """How a request is sent, besides its body."""

    path: str
    method: str
    headers: Headers
    key: str | bytes | None
    timeout: float | None
    repeatable: bool | None
    size: float | None


def door_url(service: str) -> str:
    """The base URL of a door. Ends in `.invalid` (RFC 2606), so that it leads nowhere but through the door."""
    label = _NOT_A_LABEL.sub("-", service.lower()).strip("-")[:63].strip("-") or "service"
    return f"http://{label}.directlane.invalid"


def raw_headers(headers: Headers) -> list[tuple[bytes, bytes]]:
    """Header fields as bytes: handed over as text, the libraries would allow ASCII only."""
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]


class DoorWords:
    """Translates for one door. Mutable state: whether it has warned.

    Args:
        service: The service's name.
        errors: What to raise.
    """

    __slots__ = ("_errors", "_has_warned", "_host", "_service")

    def __init__(self, service: str, errors: DoorErrors) -> None:
        self._service = service
        self._errors = errors
        self._host = door_url(service).removeprefix("http://")
        self._has_warned = False

    def options(self, request: DoorRequest) -> tuple[DoorOptions, bool]:
        """How to send the request, and whether its body is a stream of unknown length.

        Raises:
            UnsupportedProtocol: The request goes to another host: an absolute URL, or a redirect that is followed.
        """
        url = request.url
        if url.host != self._host:
            raise self._errors.unsupported_protocol(
                f"this client goes to the instances of service {self._service!r} only, not to {url.host!r}. "
                f"Next: give an SDK base_url='http://{self._host}' with its path; otherwise use a path instead of an "
                "absolute URL, and a plain client for other hosts.",
                request=request,
            )
        headers: list[tuple[str, str]] = []
        is_streamed = False
        for raw_name, raw_value in request.headers.raw:
            name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
            if name not in _HOP_BY_HOP:
                headers.append((name, value))
                if name == _RETRY_COUNT and value != "0":
                    self._warn(value)
            elif name == "transfer-encoding":
                is_streamed = True
        extensions = request.extensions
        given = cast("Mapping[str, object]", extensions.get("directlane") or {})
        if given and not given.keys() <= _GIVEN:
            unknown = ", ".join(sorted(given.keys() - _GIVEN))
            raise ValueError(
                f"unknown names in extensions['directlane']: {unknown}; there are key, repeatable and size"
            )
        timeouts = cast("Mapping[str, float | None]", extensions.get("timeout") or {})
        options = DoorOptions(
            path=url.raw_path.decode("ascii"),
            method=request.method,
            headers=tuple(headers),
            key=cast("str | bytes | None", given.get("key")),
            timeout=timeouts.get("read") or None,
            repeatable=cast("bool | None", given.get("repeatable")),
            size=cast("float | None", given.get("size")),
        )
        return options, is_streamed

    def error(self, error: Exception, request: DoorRequest) -> Exception:
        """The error that users of the library expect; the cause has the whole story. Others pass as they are."""
        if not isinstance(error, CallError):
            return error
        return self._kind(error)(str(error), request=request)

    def _kind(self, error: CallError) -> Callable[..., Exception]:
        errors = self._errors
        cause = error.__cause__ if isinstance(error.__cause__, TransportError) else None
        phase = error.phase if cause is None else cause.phase
        if isinstance(error, NoEndpointError):
            return errors.connect
        if isinstance(error, DeadlineError) or (cause is not None and cause.timed_out):
            if phase is None or phase is Phase.CONNECT:
                return errors.connect_timeout
            return errors.write_timeout if phase is Phase.SEND else errors.read_timeout
        if phase is Phase.CONNECT:
            return errors.connect
        return errors.write if phase is Phase.SEND else errors.read

    def _warn(self, count: str) -> None:
        if self._has_warned:
            return
        self._has_warned = True
        warnings.warn(
            f"service {self._service!r}: the SDK repeats a request by itself ({_RETRY_COUNT}: {count[:10]}) that "
            "directlane has tried at several instances already, so the attempts multiply. "
            "Next: give the SDK max_retries=0.",
            RepeatedRetriesWarning,
            stacklevel=2,
        )
