"""The configuration as the engine gets it: checked, resolved, and free of file formats.

The settings models here are what stands in a file, field by field; the plans below them hold the plug-ins' own models.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal, TypeAlias

from pydantic import AfterValidator, Field

from ..codings.libraries import zstd_decompressor
from ..errors import ConfigProblem
from ..fields import Duration
from ..interfaces.balancer import Balancer
from ..interfaces.provider import Provider
from ..interfaces.store import Store
from ..interfaces.transport import Transport
from ..syntax import is_token
from .affinity import AffinitySettings
from .base import PositiveDuration, Settings
from .ejection import EjectionSettings
from .hedge import HedgeSettings
from .retry_budget import RetryBudgetSettings
from .slots import SlotSettings

__all__ = [
    "PRIVATE_NETWORKS",
    "CallSettings",
    "Config",
    "DiscoverySettings",
    "PluginSettings",
    "RoutePlan",
    "RouteSettings",
    "ServicePlan",
    "checked_config",
]

PRIVATE_NETWORKS = (
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "fc00::/7",
    "::1/128",
)
"""Networks of private use (RFC 1918, RFC 6598, RFC 4193) and loopback."""

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network


def _can_decode(codings: tuple[Coding, ...]) -> tuple[Coding, ...]:
    if "zstd" in codings:
        zstd_decompressor()  # says so if there is none
    return codings


_TAKEN = frozenset(
    {"host", "connection", "content-length", "content-type", "transfer-encoding", "authorization", "cookie", "te"}
)


def _free_field(name: str) -> str:
    if not is_token(name) or name.lower() in _TAKEN:
        raise ValueError(
            "must be the name of a header field that has no meaning of its own, such as X-Request-Timeout-Ms"
        )
    return name


Coding: TypeAlias = Literal["gzip", "deflate", "zstd"]
"""A content coding that we can undo."""


class DiscoverySettings(Settings):
    """How the list of endpoints is kept up to date."""

    interval: PositiveDuration = Field(default=5.0, description="Time between two questions. Never once per call.")
    jitter: float = Field(
        default=0.1, ge=0, le=0.5, description="The interval varies by this share, so that clients spread out."
    )
    timeout: PositiveDuration = Field(default=3.0, description="Limit for one query to the control plane.")
    start_timeout: PositiveDuration = Field(
        default=10.0, description="How long the first call waits for the first list."
    )
    allow_networks: tuple[Network, ...] = Field(
        default=tuple(ipaddress.ip_network(net) for net in PRIVATE_NETWORKS),
        description="Discovered addresses outside these networks are refused. Default: private networks and loopback.",
    )


class CallSettings(Settings):
    """Limits and repeats of a call, and what its failures mean for an endpoint."""

    timeout: PositiveDuration = Field(default=30.0, description="Deadline of a call: waiting, attempts and pauses.")
    connect_timeout: PositiveDuration = Field(default=1.0, description="Limit to open a connection to an instance.")
    warm: int = Field(
        default=0,
        ge=0,
        le=100,
        description="Connections that are opened to each instance that comes onto the list, ahead of the calls; see "
        "[connections ahead](../how-to/instances-that-fail.md#connections-ahead). Default 0: the first calls connect.",
    )
    attempt_timeout: PositiveDuration | None = Field(
        default=None, description="Limit of one attempt. Default: what is left of the call's deadline."
    )
    first_event_timeout: PositiveDuration | None = Field(
        default=None,
        description="Limit of one attempt of a streamed call, up to the first event of its answer. Default: "
        "`attempt_timeout`, or what is left of the call's deadline.",
    )
    gap_timeout: PositiveDuration | None = Field(
        default=None,
        description="Limit between two pieces of a streamed answer, after the first event. Default: the limit of the "
        "attempt.",
    )
    stream_timeout: PositiveDuration | None = Field(
        default=None,
        description="Limit of a whole streamed call, up to the end of its answer. Default: none, since `timeout` is "
        "the deadline of its first event.",
    )
    deadline_header: Annotated[str, AfterValidator(_free_field)] | None = Field(
        default=None,
        description="A header field that tells the instance how many milliseconds the caller still waits for this "
        "attempt, such as X-Request-Timeout-Ms, so that it need not work for nobody. Default: none.",
    )
    attempts: int = Field(default=3, ge=1, le=20, description="Attempts of a call at most, the first one included.")
    repeatable: bool | Literal["by_method"] = Field(
        default="by_method",
        description="Whether a call that an instance may have run may be run again elsewhere. "
        "by_method: GET, HEAD, OPTIONS, PUT and DELETE may, POST and PATCH may not.",
    )
    backoff: PositiveDuration = Field(
        default=0.05, description="Upper bound of the first pause before a repeat; it doubles each time."
    )
    backoff_max: PositiveDuration = Field(default=1.0, description="Upper bound of every pause.")
    retry_after_max: PositiveDuration = Field(
        default=5.0,
        description="The longest `Retry-After` that a call waits for. If an answer asks for more, it is given to the "
        "caller at once: less would ignore what the instance says.",
    )
    retry_budget: RetryBudgetSettings = Field(
        default_factory=RetryBudgetSettings,
        description="How many extra attempts the service may cost; see [retry_budget](#retry_budget).",
    )
    hedge: HedgeSettings | None = Field(
        default=None,
        description="A second attempt beside a slow one, such as `{ percentile = 95 }`; see [hedge](#hedge). Default: "
        "none.",
    )
    slots: SlotSettings | None = Field(
        default=None,
        description="How many open calls each endpoint gets, with one queue in front of them; see [slots](#slots). "
        "Default: no limit.",
    )
    affinity: AffinitySettings | None = Field(
        default=None,
        description="Where the affinity key of a call comes from, if the caller gives none: exactly one of `header`, "
        "`cookie`, `query`, `json_pointer` (texts) and `prompt_prefix` (a table), such as "
        '`{ header = "X-User" }`. For balancers that keep calls of one key together.',
    )
    accept_encoding: Annotated[tuple[Coding, ...], AfterValidator(_can_decode)] = Field(
        default=(),
        description="Ask for compressed answers, and give them to you decoded; most wanted first. A call that sends "
        "an Accept-Encoding of its own, as httpx does, is left alone. Default: none.",
    )
    max_decoded_bytes: int = Field(
        default=268_435_456,
        ge=1,
        description="A compressed answer that stands for more bytes than this is an error. Default: 256 MiB.",
    )
    ejection: EjectionSettings = Field(
        default_factory=EjectionSettings,
        description="When an endpoint that fails gets no calls for a while; see [ejection](#ejection).",
    )
    slow_start: Duration = Field(
        default=10.0,
        description="Time in which an endpoint that joins others, or comes back from an ejection, grows to its share "
        "of the calls, from a tenth on: caches, connections and code that is compiled when first used need a moment. "
        "0 gives it all at once.",
    )


class RouteSettings(Settings):
    """What every route has, whatever its provider."""

    name: str | None = Field(default=None, min_length=1, description="Name for people. Default: provider and position.")
    weight: int = Field(
        default=1,
        ge=0,
        le=1_000_000,
        description="Share of calls among the routes of one tier. 0 drains the route: open calls end, new ones go "
        "elsewhere, whatever happens there; `directlane endpoints` shows it.",
    )
    tier: int = Field(
        default=0,
        ge=0,
        le=1000,
        description="The lowest tier gets all calls while 5 in 7 of its endpoints are well. Below that, calls overflow "
        "into the next one, and all go there when nobody is well.",
    )
    mirror: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="Makes the route a mirror: it gets a copy of this share of the calls, and nothing else. Its "
        "answers are thrown away. 0.1: every tenth call. Default 0: no mirror.",
    )


class PluginSettings(Settings):
    """Which installed plug-ins are loaded."""

    only: tuple[str, ...] | None = Field(default=None, description="Load these entry points only. Default: all.")
    block: tuple[str, ...] = Field(default=(), description="Do not load these entry points.")


@dataclass(frozen=True, slots=True)
class RoutePlan:
    """One way to a service: a provider and its place among the others.

    `origin` is the distribution that brought the provider, with its version; None if that is not known.
    """

    name: str
    provider: Provider
    weight: int = 1
    tier: int = 0
    mirror: float = 0.0
    origin: str | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class ServicePlan:
    """One service, ready to be called."""

    name: str
    routes: tuple[RoutePlan, ...]
    balancer: Balancer
    transport: Transport
    discovery: DiscoverySettings = field(default_factory=DiscoverySettings)
    calls: CallSettings = field(default_factory=CallSettings)


@dataclass(frozen=True, slots=True)
class Config:
    """A whole configuration.

    Args:
        source: The file it came from, or a word for where it came from.
        services: By name, in the order of the file.
        warnings: What works and should be better, such as a secret that stands in clear.
        store: What this process shares with others through; None: nothing is shared.
    """

    source: str
    services: Mapping[str, ServicePlan]
    warnings: tuple[ConfigProblem, ...] = ()
    store: Store | None = None


def checked_config(config: object) -> Config:
    """The configuration itself.

    Raises:
        TypeError: It is what people give in its place: a path, or plain data.
    """
    if isinstance(config, Config):
        return config
    raise TypeError(
        f"a client is made of a Config, not of a {type(config).__name__}\n"
        "Next: use `from_file(path)` for a file, or `from_data(data)` for a dict."
    )
