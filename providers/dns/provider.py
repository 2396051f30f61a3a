"""The settings of a route to the addresses that a name stands for."""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from ...core.endpoint import Endpoint
from ...core.fields import Duration, ServerName
from ...core.interfaces import Discovery, PlainServersProvider, ProviderFacts
from ...core.outcome import Outcome, Verdict
from .verdicts import verdict

if TYPE_CHECKING:
    from .discovery import DnsDiscovery

__all__ = ["DnsProvider"]

_NAME = re.compile(r"(?=.{1,254}\Z)[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*\.?")
_SHORTEST = 0.1


def _name(text: str) -> str:
    try:
        ipaddress.ip_address(text.strip("[]"))
    except ValueError:
        pass
    else:
        raise ValueError(f"{text} is an address, not a name; for addresses there is the provider `static`")
    if not _NAME.fullmatch(text):
        raise ValueError(
            f"{text[:80]!r} is not a name such as 'chat.models.svc.cluster.local' or '_http._tcp.chat.example.com'; "
            "other letters than ASCII are written in their xn-- form"
        )
    return text


def _path(text: str) -> str:
    return Endpoint("localhost", 80, base_path=text).base_path


def _not_too_short(seconds: float) -> float:
    if seconds < _SHORTEST:
        raise ValueError(f'must be {_SHORTEST:g} seconds or more, such as "1s"')
    return seconds


class DnsProvider(PlainServersProvider):
    """Calls go to the addresses that a name stands for: those of a headless Service of Kubernetes, of Consul, or of any
    zone."""

    model_config: ClassVar[ConfigDict] = ConfigDict(hide_input_in_errors=True)

    kind: ClassVar[str] = "dns"
    facts: ClassVar[ProviderFacts] = ProviderFacts(
        title="Domain names",
        summary="The addresses behind a name: A and AAAA records, or SRV records with ports and weights.",
        capabilities=frozenset({"discovery", "weights"}),
    )

    domain: Annotated[str, AfterValidator(_name)] = Field(
        description="The name, such as 'chat.models.svc.cluster.local'; for SRV records '_http._tcp.chat.example.com'."
    )
    record: Literal["address", "srv"] = Field(
        default="address",
        description="What to ask for. address: A and AAAA records; `port` says the port. srv: SRV records, which tell "
        "ports and weights. Default: address.",
    )
    port: int | None = Field(
        default=None, ge=1, le=65535, description='Port of all addresses. Needed with record = "address".'
    )
    family: Literal["auto", "ipv4", "ipv6", "both"] = Field(
        default="auto",
        description="Which addresses count. auto: IPv4, or IPv6 where there is no IPv4. both: an instance that has one "
        "of each is called at both. Default: auto.",
    )
    rank: int = Field(
        default=1,
        ge=1,
        description="Which priority of SRV records is called: 1 for the lowest that has an address, 2 for the next, "
        "and so on. A route of a higher `tier` with rank = 2 is called when the first cannot be. Default: 1.",
    )
    scheme: Literal["http", "https"] = Field(
        default="http", description="https: the certificates must have the name in `server_name`. Default: http."
    )
    server_name: ServerName | None = Field(
        default=None,
        description="The name that the certificates must have, for https; it is sent as SNI and as Host too. Default: "
        "`domain`; for SRV records without its `_service._protocol`.",
    )
    path: Annotated[str, AfterValidator(_path)] = Field(
        default="", description="Goes in front of every call's path, such as '/base'. Default: none."
    )
    nameservers: tuple[str, ...] = Field(
        default=(),
        max_length=3,
        description="Whom to ask, in this order: IP addresses, such as '10.0.0.2' or '10.0.0.2:8600'. Default: the "
        "name servers of this machine.",
    )
    search: bool = Field(
        default=False,
        description="Complete a short name with the search path of this machine, as other programs do. Default: false.",
    )
    timeout: Annotated[Duration, AfterValidator(_not_too_short)] = Field(
        default=1.0,
        description="How long to wait for one name server before the next one is asked. `discovery.timeout` holds too.",
    )
    ttl_min: Annotated[Duration, AfterValidator(_not_too_short)] = Field(
        default=5.0, description="The name is asked for when its records end (their TTL), but not more often than this."
    )
    ttl_max: Annotated[Duration, AfterValidator(_not_too_short)] = Field(
        default=60.0, description="... and not less often than this."
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.record == "address" and self.port is None:
            raise ValueError('record = "address" needs `port`, such as 8000; SRV records tell it: record = "srv"')
        if self.record == "srv" and self.port is not None:
            raise ValueError('SRV records tell the port: remove `port`, or set record = "address"')
        if self.record == "address" and self.rank != 1:
            raise ValueError('`rank` is for SRV records: remove it, or set record = "srv"')
        if self.server_name is not None and self.scheme != "https":
            raise ValueError('`server_name` is for https: remove it, or set scheme = "https"')
        if self.ttl_max < self.ttl_min:
            raise ValueError("`ttl_max` is shorter than `ttl_min`")
        self._discovery()
        return self

    def discovery(self) -> Discovery:
        """The name."""
        return self._discovery()

    def classify(self, outcome: Outcome) -> Verdict:
        """What HTTP itself says."""
        return verdict(outcome)

    def _certificate_name(self) -> str:
        """Without a setting, the name that was asked for. The targets of SRV records do not count: whoever can forge an
        answer could choose them (RFC 6125, section 6.2.1).
        """
        if self.server_name is not None:
            return self.server_name
        return re.sub(r"^(_[^.]+\.){1,2}(?=[^.])", "", self.domain) if self.record == "srv" else self.domain

    def _discovery(self) -> DnsDiscovery:
        try:
            from .discovery import DnsDiscovery, DnsTarget, Server  # needs dnspython, which only some have
        except ImportError:
            raise ValueError("the provider `dns` needs the package dnspython: pip install 'directlane[dns]'") from None
        return DnsDiscovery(
            DnsTarget(
                self.domain,
                port=self.port,
                family=self.family,
                rank=self.rank,
                scheme=self.scheme,
                server_name=self._certificate_name() if self.scheme == "https" else None,
                path=self.path,
                servers=tuple(dict.fromkeys(Server.from_text(text) for text in self.nameservers)),
                search=self.search,
                ttl_min=self.ttl_min,
                ttl_max=self.ttl_max,
                timeout=self.timeout,
            )
        )
