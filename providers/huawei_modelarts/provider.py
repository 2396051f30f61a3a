"""The settings of a route on Huawei Cloud ModelArts, and what follows from them."""

from __future__ import annotations

import re
from typing import Annotated, ClassVar, Literal, Self
from urllib.parse import quote, urlsplit

from pydantic import AfterValidator, ConfigDict, Field, PrivateAttr, model_validator

from ...core.endpoint import Endpoint
from ...core.interfaces import Provider, ProviderFacts, RateBudget, Wire
from ...core.message import Headers
from ...core.outcome import Outcome, Verdict
from .auth import Auth, make_auth
from .credentials import Credential, HeaderSecret, PasswordCredential
from .discovery import GatewayDiscovery, HostEndpointsDiscovery, load_parser
from .host_endpoints import read_host_endpoints
from .verdicts import direct_verdict, gateway_verdict

__all__ = ["HuaweiModelArtsProvider"]

_PER_USER = (20, 60.0)
_PER_TENANT = (2000, 60.0)
_DEFAULT_PORTS = {"http": 80, "https": 443}
_FIELD_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def _address(text: str) -> Endpoint:
    """What a URL points at.

    Raises:
        ValueError: It is not a URL, or has parts that do not belong into one here.
    """
    url = urlsplit(text)
    if url.scheme not in _DEFAULT_PORTS or url.query or url.fragment or "@" in url.netloc:
        raise ValueError("not such a URL")
    port = _DEFAULT_PORTS[url.scheme] if url.port is None else url.port
    return Endpoint(url.hostname or "", port, scheme=url.scheme, base_path=url.path)


def _checked_url(text: str) -> str:
    try:
        _address(text)
    except ValueError:
        # `from None`: what was written may hold a password.
        raise ValueError(
            "write a URL such as https://host or https://host:port/path, without user, '?' and '#'"
        ) from None
    return text.rstrip("/")


def _checked_origin(text: str) -> str:
    text = _checked_url(text)
    if urlsplit(text).path:
        raise ValueError("write a URL such as https://host or https://host:port, without a path")
    return text


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


Origin = Annotated[str, AfterValidator(_checked_origin)]
PathSegment = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-][A-Za-z0-9._-]*$")]


class HuaweiModelArtsProvider(Provider):
    """A service on Huawei Cloud ModelArts: straight at its instances, or through the inference gateway.

    The direct path is the VPC high-speed channel: real-time services of version 1, in a dedicated pool, made from a
    custom image, running; and the caller's VPC is interconnected with the pool's network.
    """

    # A validation error must not show its input: it may hold a password.
    model_config = ConfigDict(hide_input_in_errors=True)

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
        description="How the platform knows us: a table with `type` token, password or aksk."
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
        description="Id of the project. Required for direct and for a password login, which asks for a token of it.",
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
        default=None, description="Origin of IAM. Default: https://iam.{region}.myhuaweicloud.com."
    )
    gateway_url: Annotated[str, AfterValidator(_checked_url)] | None = Field(
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

    _auth: Auth = PrivateAttr()

    @model_validator(mode="after")
    def _has_what_its_access_needs(self) -> Self:
        missing = [name for name in self._required() if getattr(self, name) is None]
        if missing:
            raise ValueError(
                f"access {self.access!r} with credential {self.credential.type!r} needs {', '.join(missing)}"
            )
        if self.access == "direct" and self.gateway_url is not None:
            raise ValueError('gateway_url is used with access = "gateway" only: set that, or remove gateway_url')
        return self

    def _required(self) -> list[str]:
        names = ["service_id", "project_id"] if self.access == "direct" else ["gateway_url"]
        if isinstance(self.credential, PasswordCredential):
            names.append("project_id")
        needs_endpoint = self.access == "direct" and self.endpoint is None
        needs_iam = isinstance(self.credential, PasswordCredential) and self.iam_endpoint is None
        if needs_endpoint or needs_iam:
            names.append("region")
        return list(dict.fromkeys(names))

    def model_post_init(self, context: object, /) -> None:
        """Make the credential's keeper: discovery and wire share it."""
        del context
        iam_url = self.iam_endpoint or f"https://iam.{self.region}.myhuaweicloud.com"
        self._auth = make_auth(self.credential, project_id=self.project_id or "", iam_url=iam_url)

    def discovery(self) -> GatewayDiscovery | HostEndpointsDiscovery:
        """The endpoint list of the service, or the gateway.

        Raises:
            ConfigError: `parser` cannot be loaded.
        """
        if self.access == "gateway":
            return GatewayDiscovery(_address(self.gateway_url or ""), self._auth)
        url = (
            f"{self._api()}/v1/{quote(self.project_id or '', safe='')}/services/"
            f"{quote(self.service_id or '', safe='')}/predict/endpoints?type=host_endpoints"
        )
        parser = read_host_endpoints if self.parser is None else load_parser(self.parser)
        return HostEndpointsDiscovery(url, self._auth, self.budgets(), parser, self.parser)

    def wire(self, endpoint: Endpoint) -> Wire:
        """Direct: the user's own headers and no credential of the platform. Gateway: with the credential."""
        headers: Headers = tuple((name, value.reveal()) for name, value in self.headers.items())
        if self.access == "direct":
            return Wire(self.request_path, headers)
        return self._auth.wire(f"{endpoint.scheme}://{endpoint.authority}", self.request_path, headers)

    def classify(self, outcome: Outcome) -> Verdict:
        """See `verdicts`."""
        if self.access == "direct":
            return direct_verdict(outcome)
        return gateway_verdict(outcome, renews_token=self._auth.renews)

    def budgets(self) -> tuple[RateBudget, ...]:
        """Huawei's limits for the endpoint list; none in gateway mode, where it is not asked."""
        if self.access == "gateway":
            return ()
        # With an endpoint of its own, a cloud has limits of its own.
        where = f"modelarts/{self.region}" if self.endpoint is None else self.endpoint
        return (
            RateBudget(f"{where}/user/{self._auth.user}", *_PER_USER),
            RateBudget(f"{where}/tenant/{self._auth.tenant}", *_PER_TENANT),
        )

    def _api(self) -> str:
        return self.endpoint or f"https://modelarts.{self.region}.myhuaweicloud.com"
