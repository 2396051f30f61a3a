"""The settings of a route to configured addresses."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, ClassVar, Self, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator

from ...core.endpoint import MAX_WEIGHT, Endpoint
from ...core.fields import ServerName
from ...core.interfaces import Discovery, PlainServersProvider, ProviderFacts
from ...core.outcome import Outcome, Verdict
from .discovery import StaticDiscovery, endpoint_at
from .verdicts import verdict

__all__ = ["StaticAddress", "StaticProvider"]


def _checked_url(url: str) -> str:
    endpoint_at(url)
    return url


Url: TypeAlias = Annotated[str, AfterValidator(_checked_url)]


class StaticAddress(BaseModel):
    """One address with more than its URL."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    url: Url = Field(
        description="Where it is, such as 'http://10.0.0.7:8000/base'. Default port: 80, or 443 for https."
    )
    weight: int | None = Field(
        default=None,
        ge=0,
        le=MAX_WEIGHT,
        description="Relative capacity; 0 gives it no call. Default: unknown, which counts as the mean of the others.",
    )
    zone: str | None = Field(default=None, min_length=1, description="Where it stands, as its cloud names it.")
    server_name: ServerName | None = Field(
        default=None, description="The name that its certificate must have. Default: that of the route."
    )

    @model_validator(mode="after")
    def _check_name(self) -> Self:
        if self.server_name is not None and not self.url.startswith("https:"):
            raise ValueError("`server_name` is for https: begin the `url` with https://, or remove it")
        return self


def _form(value: object) -> str:
    return "text" if isinstance(value, str) else "table"


Address: TypeAlias = Annotated[
    Annotated[Url, Tag("text")] | Annotated[StaticAddress, Tag("table")], Discriminator(_form)
]


class StaticProvider(PlainServersProvider):
    """Calls go to addresses that are written down: a server of your own, or one that another tool keeps up to date."""

    model_config: ClassVar[ConfigDict] = ConfigDict(hide_input_in_errors=True)

    kind: ClassVar[str] = "static"
    facts: ClassVar[ProviderFacts] = ProviderFacts(
        title="Configured addresses",
        summary="A list of addresses in the configuration; nothing is asked.",
        capabilities=frozenset({"weights"}),
    )

    addresses: tuple[Address, ...] = Field(
        json_schema_extra={"minItems": 1},  # checked below: here, a bad address would count as a missing one too
        description="The addresses, at least one; each a URL such as 'http://10.0.0.7:8000/base', or a table with "
        "`url`, `weight`, `zone` and `server_name`. IP addresses and host names of any network.",
    )
    server_name: ServerName | None = Field(
        default=None,
        description="The name that the certificates of all addresses must have, for https; it is sent as SNI and as "
        "Host too. Default: the host of each address.",
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not self.addresses:
            raise ValueError('`addresses` is empty; name at least one, such as "http://10.0.0.7:8000"')
        if self.server_name is not None and not any(endpoint.scheme == "https" for endpoint in self.endpoints()):
            raise ValueError("`server_name` is for https: begin an address with https://, or remove it")
        ids = Counter(endpoint.id for endpoint in self.endpoints())
        twice = [id_ for id_, times in ids.items() if times > 1]
        if twice:
            raise ValueError(f"`addresses` names {', '.join(twice)} more than once; write it once, with a `weight`")
        return self

    def endpoints(self) -> tuple[Endpoint, ...]:
        """The configured endpoints, in the order of the file."""
        return tuple(self._endpoint(address) for address in self.addresses)

    def _endpoint(self, address: str | StaticAddress) -> Endpoint:
        if isinstance(address, str):
            return endpoint_at(address, server_name=self.server_name)
        name = address.server_name or self.server_name
        return endpoint_at(address.url, weight=address.weight, zone=address.zone, server_name=name)

    def discovery(self) -> Discovery:
        """The configured list."""
        return StaticDiscovery(self.endpoints())

    def classify(self, outcome: Outcome) -> Verdict:
        """What HTTP itself says."""
        return verdict(outcome)
