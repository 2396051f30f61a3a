"""The settings of a route on Huawei Cloud ModelArts, and what follows from them."""

from __future__ import annotations

import re
from typing import Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, ConfigDict, Field, PrivateAttr, model_validator

from ...core.endpoint import Endpoint
from ...core.interfaces import Finding, Provider, ProviderFacts, RateBudget, Wire
from ...core.message import Headers
from ...core.outcome import Outcome, Verdict
from .advice import advice
from .credentials import (
    AgencyCredential,
    Credential,
    DefaultCredential,
    EnvironmentCredential,
    HeaderSecret,
    IdentityProviderCredential,
    OneCredential,
    PasswordCredential,
    ProfileCredential,
)
from .discovery import GatewayDiscovery, HostEndpointsDiscovery, ListApi, load_parser
from .gateway import GatewayUpkeep, gateway_wire
from .host_endpoints import read_host_endpoints
from .iam import IamAddress
from .make_auth import make_auth
from .platform_clock import PlatformClock
from .rotation import Rotation
from .urls import Origin, PathSegment, ServiceUrl, endpoint_of
from .verdicts import direct_verdict, gateway_verdict

__all__ = ["HuaweiModelArtsProvider"]

_FIELD_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def _checked_path(path: str) -> str:
    path = path.rstrip("/")
    if path and (not path.startswith("/") or re.search(r"[^\x21-\x7e]|[?#]", path)):
        raise ValueError("a path starts with '/' and holds no space, '?' or '#'")
    return path


def _checked_parser(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*", name):
        raise ValueError('write it as "package.module:function"')
    return name


def _checked_headers(headers: dict[str, HeaderSecret]) -> dict[str, HeaderSecret]:
    for name in headers:
        if name.lower() == "x-auth-token":
            raise ValueError(
                "X-Auth-Token must not stand here: it is the platform's token, and an instance must never see it. "
                "Put it into `credential`"
            )
        if not _FIELD_NAME.fullmatch(name):
            raise ValueError(f"{name!r} is not the name of a header field")
    return headers


_TELLS_PROJECT = (EnvironmentCredential, ProfileCredential, DefaultCredential)
_NAMES_ACCOUNT = (PasswordCredential, AgencyCredential)
_ASKS_IAM = (*_NAMES_ACCOUNT, IdentityProviderCredential)


class HuaweiModelArtsProvider(Provider):
    """A service on Huawei Cloud ModelArts: straight at its instances, or through the inference gateway.

    The direct path is the VPC high-speed channel: real-time services of version 1, in a dedicated pool, made from a
    custom image, running; and the caller's VPC is interconnected with the pool's network.
    """

    # A validation error must not show its input: it may hold a password.
    model_config: ClassVar[ConfigDict] = ConfigDict(hide_input_in_errors=True)

    kind: ClassVar[str] = "huawei_modelarts"
    facts: ClassVar[ProviderFacts] = ProviderFacts(
        title="Huawei Cloud ModelArts",
        summary="VPC high-speed channel (direct) or inference gateway of a real-time service",
        capabilities=frozenset({"discovery", "weights", "signing", "token-refresh", "gateway"}),
        budgets=(
            "endpoint list: 20 questions per 60 s for each IAM user, over all its processes",
            "endpoint list: 2000 questions per 60 s for each account",
        ),
    )

    credential: Credential = Field(
        description="How the platform knows us: a table with `type` aksk, password, token, agency, ecs, "
        "identity_provider, pod_identity, environment, profile or default. With access direct also a list of such "
        "tables, one for each of several IAM users, who take turns."
    )
    access: Literal["direct", "gateway"] = Field(
        default="direct",
        description="direct: straight to the instances, as found by discovery. gateway: through `gateway_url`, where "
        "the platform balances. Default: direct.",
    )
    service_id: PathSegment | None = Field(
        default=None, description="Id of the real-time service. Required for direct; the gateway's URL holds it."
    )
    project_id: PathSegment | None = Field(
        default=None,
        description="Id of the project. Required for direct, unless the credential's source names it (environment, "
        "profile, default), and for a password login, which asks for a token of it.",
    )
    region: PathSegment | None = Field(
        default=None,
        description="Region such as cn-north-4. Makes the host names; not needed where they are given by `endpoint` "
        "and `iam_endpoint`.",
    )
    endpoint: Origin | None = Field(
        default=None,
        description="Origin of the ModelArts API. Default: https://modelarts.{region}.myhuaweicloud.com; partner and "
        "private clouds have their own.",
    )
    iam_endpoint: Origin | None = Field(
        default=None,
        description="Origin of IAM, where it is asked. Default: what the variable `HUAWEICLOUD_SDK_IAM_ENDPOINT` "
        "says, or https://iam.{region}.myhuaweicloud.com.",
    )
    gateway_url: ServiceUrl | None = Field(
        default=None,
        description="The `access_address` of the service, as its details show it. Required for gateway, unused else.",
    )
    request_path: Annotated[str, AfterValidator(_checked_path)] = Field(
        default="", description="Path in front of the path of every call, such as /v1/chat. Default: none."
    )
    headers: Annotated[dict[str, HeaderSecret], AfterValidator(_checked_headers)] = Field(
        default_factory=dict[str, HeaderSecret],
        description="Header fields for every call, such as a key that your own model wants. Default: none. The "
        "platform itself wants none on the direct path.",
    )
    parser: Annotated[str, AfterValidator(_checked_parser)] | None = Field(
        default=None,
        description='"package.module:function" that reads the endpoint list: gets the body (bytes), returns a '
        "Snapshot. Default: the built-in reader; Huawei does not publish the shape of the list as text.",
    )

    _clock: PlatformClock = PrivateAttr(default_factory=PlatformClock)
    _users: Rotation = PrivateAttr()

    def model_post_init(self, context: object, /) -> None:
        """Make the credentials' keepers: discovery and wire share them."""
        del context
        iam = IamAddress(self.iam_endpoint, self.region)
        self._users = Rotation(
            [make_auth(each, project_id=self.project_id, iam=iam, clock=self._clock) for each in self._credentials]
        )

    @model_validator(mode="after")
    def _has_what_its_access_needs(self) -> Self:
        missing = [name for name in self._required() if getattr(self, name) is None]
        if missing:
            types = " and ".join(dict.fromkeys(repr(each.type) for each in self._credentials))
            raise ValueError(f"access {self.access!r} with credential {types} needs {', '.join(missing)}")
        if self.access == "direct" and self.gateway_url is not None:
            raise ValueError('gateway_url is used with access = "gateway" only: set that, or remove gateway_url')
        return self

    @model_validator(mode="after")
    def _has_each_user_once(self) -> Self:
        if self.access == "gateway" and len(self._credentials) > 1:
            raise ValueError("credential: the gateway takes one credential; several users are for the endpoint list")
        first: dict[str, int] = {}
        for number, user in enumerate(self._users.users):
            if user.user in first:
                raise ValueError(
                    f"credential[{number}]: {user.label} is there already as credential[{first[user.user]}]; "
                    "each entry must be another IAM user, because Huawei's limit is per user"
                )
            first[user.user] = number
        return self

    @property
    def _credentials(self) -> tuple[OneCredential, ...]:
        return self.credential if isinstance(self.credential, tuple) else (self.credential,)

    def _required(self) -> list[str]:
        names = ["service_id"] if self.access == "direct" else ["gateway_url"]
        if self.access == "direct" and not all(isinstance(each, _TELLS_PROJECT) for each in self._credentials):
            names.append("project_id")
        if any(isinstance(each, PasswordCredential) for each in self._credentials):
            names.append("project_id")
        needs_endpoint = self.access == "direct" and self.endpoint is None
        needs_iam = any(isinstance(each, _ASKS_IAM) for each in self._credentials) and self.iam_endpoint is None
        if needs_endpoint or needs_iam:
            names.append("region")
        return list(dict.fromkeys(names))

    def discovery(self) -> GatewayDiscovery | HostEndpointsDiscovery:
        """The endpoint list of the service, or the gateway.

        Raises:
            ConfigError: `parser` cannot be loaded.
        """
        if self.access == "gateway":
            return GatewayDiscovery(endpoint_of(self.gateway_url or ""))
        parser = read_host_endpoints if self.parser is None else load_parser(self.parser)
        return HostEndpointsDiscovery(self._api(), self._users, self._clock, parser, self.parser)

    def upkeep(self) -> GatewayUpkeep | None:
        """Through the gateway: keeps the token or key of the calls fresh, unless it is one that never changes."""
        user = self._users.users[0]
        return GatewayUpkeep(user, self._clock) if self.access == "gateway" and user.renews else None

    def wire(self, endpoint: Endpoint) -> Wire:
        """Direct: the user's own headers and no credential of the platform. Gateway: with the credential."""
        headers: Headers = tuple((name, value.reveal()) for name, value in self.headers.items())
        if self.access == "direct":
            return Wire(self.request_path, headers)
        origin = f"{endpoint.scheme}://{endpoint.authority}"
        user = self._users.users[0]
        return gateway_wire(user, self._clock, origin, self.request_path, headers, self.project_id)

    def classify(self, outcome: Outcome) -> Verdict:
        """See `verdicts`."""
        if self.access == "direct":
            return direct_verdict(outcome)
        return gateway_verdict(outcome, renews=self._users.users[0].renews)

    def advise(self, finding: Finding) -> str | None:
        """See `advice`."""
        return advice(finding, is_direct=self.access == "direct")

    def budgets(self) -> tuple[RateBudget, ...]:
        """Huawei's limits for the endpoint list: of each user, and of the account. None in gateway mode."""
        if self.access == "gateway":
            return ()
        api = self._api()
        return (*(api.user_budget(user.user) for user in self._users.users), api.tenant_budget(self.project_id))

    def _api(self) -> ListApi:
        accounts = [each.domain for each in self._credentials if isinstance(each, _NAMES_ACCOUNT)]
        return ListApi(
            origin=self.endpoint or f"https://modelarts.{self.region}.myhuaweicloud.com",
            service_id=self.service_id or "",
            project_id=self.project_id,
            limits=f"modelarts/{self.region}" if self.endpoint is None else self.endpoint,
            account=accounts[0] if accounts else None,
        )
