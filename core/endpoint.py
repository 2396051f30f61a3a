"""An endpoint is one address that can serve; a snapshot is what one discovery answer says.

Both are values: they are checked when made and never change. Statistics, ejection and connections live elsewhere,
keyed by `Endpoint.id`.
"""

from __future__ import annotations

import ipaddress
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["MAX_WEIGHT", "Endpoint", "InvalidEndpoint", "Snapshot", "authority", "checked_server_name"]

MAX_WEIGHT = 2**31 - 1
"""The largest weight that is believed. More is garbage, not capacity."""

_HOST_NAME = re.compile(r"(?=.{1,253}\Z)(?!-)[A-Za-z0-9_-]{1,63}(?<!-)(\.(?!-)[A-Za-z0-9_-]{1,63}(?<!-))*\.?")
_ENDS_IN_NUMBER = re.compile(r"(.*\.)?([0-9]+|0[xX][0-9a-fA-F]*)\.?")
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*")
_UNSAFE = re.compile(r"[\x00-\x20\x7f?#]")


class InvalidEndpoint(ValueError):
    """An address, port, weight or path that cannot be an endpoint. The text says which and why."""


def authority(host: str, port: int) -> str:
    """`host:port`, with the brackets that an IPv6 address needs."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One address that can serve calls.

    Args:
        host: IP address or host name, without brackets. IP addresses are kept in their shortest form.
        port: 1 to 65535.
        scheme: Protocol word, lower case. Default `"http"`.
        base_path: Path in front of every call's path, without a trailing slash. Default `""`.
        weight: Relative capacity, an integer from 0 to `MAX_WEIGHT`. 0 means drain: open calls finish, no new call
            comes. None (the default) means unknown: it counts as the mean of the known weights.
        zone: Where it stands, as its cloud names it.
        labels: More facts for people and third-party balancers.
        id: Stable identity. Statistics follow it over updates. Default: scheme, host, port and base path, and
            `#server_name` if there is one.
        server_name: The host name, or IP address, that its certificate must name. Where TLS is spoken it is sent as
            SNI (RFC 6066), and over https it stands in the `Host` header, since it is the host of the origin whose
            certificate is checked (RFC 9110, section 4.3.4). Without TLS it has no effect. None (the default): `host`.

    Raises:
        InvalidEndpoint: A value is out of range; the text says which.
    """

    host: str
    port: int
    scheme: str = "http"
    base_path: str = ""
    weight: int | None = None
    zone: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict[str, str], hash=False)
    id: str = ""
    server_name: str | None = None

    def __post_init__(self) -> None:
        put = object.__setattr__
        put(self, "host", _checked_host(self.host))
        _check_port(self.port)
        _check_weight(self.weight)
        if not _SCHEME.fullmatch(self.scheme):
            raise InvalidEndpoint(f"scheme {_shown(self.scheme)} is not a lower-case protocol word such as 'http'")
        if self.base_path and (not self.base_path.startswith("/") or _UNSAFE.search(self.base_path)):
            raise InvalidEndpoint(
                f"base path {_shown(self.base_path)} must start with '/' and hold no space, '?' or '#'"
            )
        put(self, "base_path", self.base_path.rstrip("/"))
        put(self, "labels", dict(self.labels))  # ours: the caller may change theirs
        if self.server_name is not None:
            put(self, "server_name", checked_server_name(self.server_name))
        if not self.id:
            put(self, "id", self.url if self.server_name is None else f"{self.url}#{self.server_name}")

    @property
    def authority(self) -> str:
        """`host:port`: where connections go to."""
        return authority(self.host, self.port)

    @property
    def tls_name(self) -> str:
        """The name for TLS: what is sent as SNI and what the certificate must name. `server_name`, else the host."""
        return self.host.rstrip(".") if self.server_name is None else self.server_name

    @property
    def host_field(self) -> str:
        """What stands in the `Host` header of HTTP: host, and the port unless it is the scheme's own (80, 443)."""
        is_tls = self.scheme == "https"
        host = self.server_name if is_tls and self.server_name is not None else self.host
        if self.port == (443 if is_tls else 80):
            return f"[{host}]" if ":" in host else host
        return authority(host, self.port)

    @property
    def url(self) -> str:
        """Scheme, authority and base path."""
        return f"{self.scheme}://{self.authority}{self.base_path}"

    @property
    def is_draining(self) -> bool:
        """Whether the weight is 0: known, but to be given no new call."""
        return self.weight == 0

    @property
    def ip(self) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
        """The host as an IP address; None for a host name."""
        try:
            return ipaddress.ip_address(self.host)
        except ValueError:
            return None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What one discovery answer says.

    Args:
        endpoints: The valid entries, in the order of the answer.
        rejected: One readable sentence for each entry that was left out, and why. Never holds a secret.
        version: The source's own revision of the list, where it has one.
        ask_again_in: Seconds after which the source wants to be asked again, sooner than the usual interval (a token
            ends) or later. `math.inf`: this answer never changes. None (default): the configured interval.
        attributes: What else the answer says, for people.
        raw: The body as it came, for the curious and for bug reports.
        warnings: One readable sentence for each thing that people should know though the list is good, such as a
            credential that cannot be renewed. A sentence that was not there before is logged, so say the same words for
            as long as it lasts. Never holds a secret.
    """

    endpoints: tuple[Endpoint, ...] = ()
    rejected: tuple[str, ...] = ()
    version: str | None = None
    ask_again_in: float | None = None
    attributes: Mapping[str, object] = field(default_factory=dict[str, object], hash=False)
    raw: bytes = field(default=b"", repr=False)
    warnings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        after = self.ask_again_in
        if after is not None and (math.isnan(after) or after < 0):
            raise ValueError(f"ask_again_in must be 0 or more seconds, not {after!r}")


def checked_server_name(name: str) -> str:
    """A name for TLS in its usual form: lower case, without a dot at its end.

    Raises:
        InvalidEndpoint: It is neither a host name nor an IP address.
    """
    try:
        return _checked_host(name).rstrip(".")
    except InvalidEndpoint:
        raise InvalidEndpoint(
            f"server name {_shown(name)} is neither a host name, such as 'chat.example.com', nor an IP address"
        ) from None


def _shown(value: object) -> str:
    """A value for an error text: short, whatever was sent."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _checked_host(host: object) -> str:
    if not isinstance(host, str) or not host:
        raise InvalidEndpoint(f"host {_shown(host)} is not an address")
    # A zone ("fe80::1%eth0") means something on one machine only, and may hold any character.
    if "%" in host:
        raise InvalidEndpoint(f"host {_shown(host)} has a zone; only addresses without one can be called")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") and ":" in host else host
    try:
        return str(ipaddress.ip_address(bare))
    except ValueError:
        pass
    # "10.0.0", "10.0.0.256" and "0x7f.1" are broken addresses, not host names: a resolver makes something of them.
    if _ENDS_IN_NUMBER.fullmatch(bare) or not _HOST_NAME.fullmatch(bare):
        raise InvalidEndpoint(f"host {_shown(host)} is neither an IP address nor a host name")
    return bare.lower()


def _check_port(port: object) -> None:
    if not isinstance(port, int) or isinstance(port, bool) or not 1 <= port <= 65535:
        raise InvalidEndpoint(f"port {_shown(port)} is not an integer from 1 to 65535")


def _check_weight(weight: object) -> None:
    if weight is None:
        return
    if not isinstance(weight, int) or isinstance(weight, bool) or not 0 <= weight <= MAX_WEIGHT:
        raise InvalidEndpoint(f"weight {_shown(weight)} is not an integer from 0 to {MAX_WEIGHT}")
