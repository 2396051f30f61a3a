"""The settings of a route to a service on PAI-EAS."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationInfo,
    model_validator,
)

from ...core.codings.packers import PackKind, packer
from ...core.endpoint import Endpoint
from ...core.fields import Duration, Secret
from ...core.fields.secret import SecretContext
from ...core.interfaces import Discovery, Finding, Provider, ProviderFacts, RateBudget, Upkeep, Wire
from ...core.outcome import Outcome, Verdict
from .advice import advice
from .auth import Scheme, fixed_headers, make_sign
from .control_plane import AddressKind, ControlPlane, InstanceSource
from .credentials import Credential, KeySource, key_source
from .discovery import EasDiscovery, GatewayDiscovery, PathStyle
from .token import CallToken, FetchedToken, TokenFile, TokenVariable
from .verdicts import verdict

__all__ = ["AlibabaEasProvider", "ControlPlaneSettings"]

# Paths: what stands in a URL as it is, so that a signature covers what is sent. No space, '?', '#' or non-ASCII.
_SERVICE = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)?(/[!\"$-.0->@-~]+)*")
_REGION = re.compile(r"[a-z]+(-[a-z0-9]+)+")
_UID = re.compile(r"[0-9]+")
_PATH = re.compile(r"(/[!\"$->@-~]*)?")


def _service(text: str) -> str:
    if not _SERVICE.fullmatch(text):
        raise ValueError(
            f"{text!r} is not a service name; write 'service' or 'group.service', if need be with a path behind it: "
            "'service/v1/chat'"
        )
    return text


def _region(text: str) -> str:
    if not _REGION.fullmatch(text):
        raise ValueError(f"{text!r} is not a region id such as 'cn-hangzhou'")
    return text


def _uid(value: object) -> object:
    # Files hold it as a number as often as a text.
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if isinstance(text, str) and not _UID.fullmatch(text):
        raise ValueError("the account id has digits only, such as '1234567890123456'")
    return text


def _path(text: str) -> str:
    if not _PATH.fullmatch(text):
        raise ValueError(
            f"{text!r} is not a path; it starts with '/' and has no space, '?' or '#'; "
            "other letters than ASCII are written as %XX"
        )
    return text.rstrip("/")


def _host(text: str) -> str:
    bare = text.removeprefix("http://").rstrip("/")
    _host_and_port(bare, default_port=80)
    return bare


def _host_and_port(text: str, *, default_port: int) -> tuple[str, int]:
    """Host and port of `host`, `host:port`, `[ipv6]` or `[ipv6]:port`.

    Raises:
        ValueError: It is none of them.
    """
    found = re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[^\s:/?#@\[\]]+)(?::([0-9]{1,5}))?", text)
    if not found:
        shown = repr(text.rpartition("@")[2])  # in front of an '@' stands a password
        raise ValueError(f"{shown} is not a host; write 'host' or 'host:port', without scheme and path")
    host, port = found.group(1), int(found.group(2) or default_port)
    Endpoint(host, port)  # checks both
    return host, port


def _can_pack(kind: PackKind) -> PackKind:
    packer(kind)  # says so if its library is missing
    return kind


def _token_file(text: str, info: ValidationInfo) -> str:
    if not text or "\0" in text:
        raise ValueError("write the path of a file, such as '/run/secrets/eas-token'")
    folder = info.context.folder if isinstance(info.context, SecretContext) else Path()
    try:
        return str((folder / Path(text).expanduser()).absolute())
    except RuntimeError:
        raise ValueError("'~' means nothing here: there is no home folder") from None


def _origin(text: str) -> str:
    try:
        url = urlsplit(text)
        is_origin = url.scheme in ("http", "https") and not (url.path.rstrip("/") or url.query or url.fragment)
        if not is_origin or "@" in url.netloc:
            raise ValueError
        _host_and_port(url.netloc, default_port=443)
    except ValueError:
        # `from None`: what was written may hold a password.
        raise ValueError("write a URL such as https://host or https://host:port, without user and path") from None
    return text.rstrip("/")


NameSegment = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-][A-Za-z0-9._-]*$")]


class ControlPlaneSettings(BaseModel):
    """How the control plane (the OpenAPI of EAS) is asked."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    credential: Credential = Field(
        description="With which key: a table with `type` chain (the default credential chain of Alibaba Cloud; needs "
        "the extra `alibaba`) or access_key."
    )
    endpoint: Annotated[str, AfterValidator(_origin)] | None = Field(
        default=None, description="Origin of the API. Default: https://pai-eas.{region}.aliyuncs.com."
    )
    cluster: NameSegment | None = Field(default=None, description="Id of the cluster. Default: the region.")
    service: NameSegment | None = Field(
        default=None,
        description="Name of the service, as the control plane knows it. Default: `service` without group and path.",
    )
    refresh: Duration = Field(
        default=4 * 3600.0,
        ge=60,
        description="Fetch the token again after this time in any case, 1 minute at least. A token that is refused is "
        "fetched at once, but not more often than once a minute.",
    )
    instances: bool = Field(
        default=True,
        description="Ask for the instances while there is no list yet and the discovery server cannot be asked.",
    )
    address: AddressKind | None = Field(
        default=None,
        description="Which address of such an instance to call: external (in your VPC) or inner (inside the cluster). "
        "Default: external, and inner with `internal`.",
    )
    role: NameSegment | None = Field(
        default=None, description="Only instances of this role, such as 'Standard'. Default: all."
    )


class AlibabaEasProvider(Provider):
    """A service on Alibaba Cloud PAI-EAS: straight to its instances in the VPC, or through a gateway."""

    model_config: ClassVar[ConfigDict] = ConfigDict(hide_input_in_errors=True)

    kind: ClassVar[str] = "alibaba_eas"
    facts: ClassVar[ProviderFacts] = ProviderFacts(
        title="Alibaba Cloud PAI-EAS",
        summary="VPC direct connection to the instances of an EAS service; gateways as a second way.",
        capabilities=frozenset({"discovery", "weights", "signing", "token-refresh", "gateway"}),
        budgets=("control plane: 60 questions per 60 s for each region; our own limit, the vendor states none",),
    )

    service: Annotated[str, AfterValidator(_service)] = Field(
        description="Name of the service, `group.service` in a group. A path may follow ('service/v1'): it goes in "
        "front of every call's path, and discovery leaves it out."
    )
    region: Annotated[str, AfterValidator(_region)] | None = Field(
        default=None, description="Region id, such as 'cn-hangzhou'. Needed unless the host is given."
    )
    uid: Annotated[str, BeforeValidator(_uid)] | None = Field(
        default=None,
        description="Alibaba Cloud account id. With it, discovery asks the newer host "
        "'{uid}.vpc.{region}.pai-eas.aliyuncs.com', without it 'pai-eas-vpc.{region}.aliyuncs.com'. Gateways need it.",
    )
    access: Literal["direct", "vpc_gateway", "public_gateway"] = Field(
        default="direct",
        description="direct: to the instances, found by discovery. vpc_gateway, public_gateway: through the shared "
        "gateway, as one endpoint that is not polled. Default: direct, which is the fastest way there is.",
    )
    discovery_host: Annotated[str, AfterValidator(_host)] | None = Field(
        default=None, description="Discovery server, 'host' or 'host:port'. Default: made from `region` and `uid`."
    )
    discovery_path: Literal["auto"] | PathStyle = Field(
        default="auto",
        description="Which path to ask: exported (documented), servicediscovery (newest SDK), or auto: one, and on 404 "
        "the other; the one that worked is asked first from then on. Default: auto, since not every host serves both.",
    )
    internal: bool = Field(
        default=False,
        description="Ask for addresses inside the cluster: for callers that run in an EAS pod. Default: false.",
    )
    token: Secret | None = Field(
        default=None,
        description="Token of the service, read once. Default: none, for a service with authentication off, or if "
        "one of the next three gives it.",
    )
    token_file: Annotated[str, AfterValidator(_token_file)] | None = Field(
        default=None,
        description="A file with the token, which is read again while calls run: as often as `discovery.interval` "
        "says, and when a token was refused. A relative path begins at the configuration file. Default: none.",
    )
    token_env: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")] | None = Field(
        default=None,
        description="An environment variable of this process with the token, which is read again as `token_file` is: "
        "for programs that set it anew while they run. Default: none.",
    )
    control_plane: ControlPlaneSettings | None = Field(
        default=None,
        description="Ask the control plane for the token, if nothing else gives it, and for "
        "instances while discovery is away; see [control_plane](#control_plane). Default: "
        "it is not asked.",
    )
    auth: Scheme = Field(
        default="plain",
        description="How the token is sent: plain (as it is), signed (HMAC-SHA1 over each request, as the vendor's "
        "SDKs do), bearer, or none. Default: plain, which costs nothing per call and also works for streamed bodies.",
    )
    compression: Annotated[PackKind, AfterValidator(_can_pack)] | None = Field(
        default=None,
        description="Compress the bodies of requests, before they are signed. The service must be told to unpack them "
        "(`metadata.rpc.decompressor`): no header says so. Streamed bodies are refused. Default: none.",
    )
    request_path: Annotated[str, AfterValidator(_path)] = Field(
        default="",
        description="Path behind the service name, in front of every call's path, such as '/v1'. Default: none.",
    )
    https: bool | None = Field(
        default=None,
        description="Speak HTTPS to the gateway. Direct instances speak HTTP. Default: true for public_gateway, since "
        "the token crosses the internet; else false.",
    )
    gateway_host: Annotated[str, AfterValidator(_host)] | None = Field(
        default=None,
        description="Gateway, 'host' or 'host:port', such as the domain of a dedicated gateway. Default: the shared "
        "gateway of `uid` and `region`.",
    )

    _token: CallToken | None = PrivateAttr(default=None)
    """The token of the calls, if it can change."""
    _keys: KeySource | None = PrivateAttr(default=None)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.access == "direct":
            if self.discovery_host is None and self.region is None:
                raise ValueError('access = "direct" needs `region` (such as "cn-hangzhou") or `discovery_host`')
            if self.https:
                raise ValueError('`https` is for gateways; with access = "direct" instances speak HTTP: remove it')
        elif self.gateway_host is None and (self.region is None or self.uid is None):
            missing = " and ".join(f"`{name}`" for name in ("region", "uid") if getattr(self, name) is None)
            raise ValueError(f'access = "{self.access}" needs {missing}, or `gateway_host`')
        names = [name for name in ("token", "token_file", "token_env") if getattr(self, name) is not None]
        if len(names) > 1:
            raise ValueError(f"`{names[0]}` and `{names[1]}` both give the token; remove one of them")
        given = names[0] if names else None
        if given is not None and self.auth == "none":
            raise ValueError(f'a `{given}` with auth = "none" is never sent; remove one of them')
        has_token = given is not None or self.control_plane is not None
        if not has_token and self.auth != "none" and "auth" in self.model_fields_set:
            raise ValueError(f'auth = "{self.auth}" needs a `token`, such as "${{EAS_TOKEN}}"')
        self._check_control_plane(has_token=given is not None)
        return self

    def _check_control_plane(self, *, has_token: bool) -> None:
        settings = self.control_plane
        if settings is None:
            return
        if self.region is None and (settings.endpoint is None or settings.cluster is None):
            raise ValueError("`control_plane` needs `region`, or both `control_plane.endpoint` and `.cluster`")
        asks_for_token = not has_token and self.auth != "none"
        if not asks_for_token and (self.access != "direct" or not settings.instances):
            raise ValueError(
                "`control_plane` would never be asked: the token comes from elsewhere or is not sent, and instances "
                "are not wanted; remove it"
            )

    def model_post_init(self, context: object, /) -> None:
        """Make the place where a token that changes is kept: the upkeep and the wire share it."""
        del context
        if self.auth != "none" and self.token is None and (self.token_file or self.token_env or self.control_plane):
            self._token = CallToken(self.auth)

    @property
    def prefix(self) -> str:
        """What stands in front of the path of every call."""
        return f"/api/predict/{self.service}{self.request_path}"

    def discovery(self) -> Discovery:
        """The discovery server, or the gateway as one configured endpoint."""
        if self.access != "direct":
            return GatewayDiscovery(self._gateway())
        return EasDiscovery(
            host=self.discovery_host or self._regional_host(),
            service=self.service.partition("/")[0],
            path=self.discovery_path,
            internal=self.internal,
            fallback=self._instances(),
        )

    def upkeep(self) -> Upkeep | None:
        """What keeps the token fresh; None for one that does not change."""
        if self._token is None:
            return None
        if self.token_file is not None:
            return TokenFile(Path(self.token_file), self._token)
        if self.token_env is not None:
            return TokenVariable(self.token_env, self._token)
        assert self.control_plane is not None  # noqa: S101 - there is no token otherwise, see `model_post_init`
        return FetchedToken(self._plane(self.control_plane), self._token, self.control_plane.refresh)

    def wire(self, endpoint: Endpoint) -> Wire:
        """Prefix and authentication: the same for every instance."""
        del endpoint
        pack = None if self.compression is None else packer(self.compression)
        if self._token is not None:
            return Wire(self.prefix, sign=self._token.headers, pack=pack)
        return Wire(self.prefix, fixed_headers(self.token, self.auth), make_sign(self.token, self.auth), pack)

    def classify(self, outcome: Outcome) -> Verdict:
        """What a status of PAI-EAS means."""
        return verdict(outcome, renews_token=self._token is not None)

    def advise(self, finding: Finding) -> str | None:
        """See `advice`."""
        return advice(finding, is_direct=self.access == "direct")

    def budgets(self) -> tuple[RateBudget, ...]:
        """Our own limit for the control plane. The vendor states none; nor for discovery, which is asked gently anyway:
        one question at a time, every 5 seconds, and early ones become rarer when they bring no news."""
        return () if self.control_plane is None else (self._plane(self.control_plane).budget,)

    def _instances(self) -> InstanceSource | None:
        settings = self.control_plane
        if settings is None or not settings.instances:
            return None
        address = settings.address or ("inner" if self.internal else "external")
        return InstanceSource(self._plane(settings), address, settings.role)

    def _plane(self, settings: ControlPlaneSettings) -> ControlPlane:
        if self._keys is None:
            self._keys = key_source(settings.credential)
        return ControlPlane(
            origin=settings.endpoint or f"https://pai-eas.{self.region}.aliyuncs.com",
            cluster=settings.cluster or self.region or "",
            service=settings.service or self.service.partition("/")[0].rpartition(".")[2],
            keys=self._keys,
        )

    def _regional_host(self) -> str:
        if self.uid is not None:
            return f"{self.uid}.vpc.{self.region}.pai-eas.aliyuncs.com"
        return f"pai-eas-vpc.{self.region}.aliyuncs.com"

    def _gateway(self) -> Endpoint:
        is_safe = self.access == "public_gateway" if self.https is None else self.https
        scheme, default_port = ("https", 443) if is_safe else ("http", 80)
        part = "vpc." if self.access == "vpc_gateway" else ""
        name = self.gateway_host or f"{self.uid}.{part}{self.region}.pai-eas.aliyuncs.com"
        host, port = _host_and_port(name, default_port=default_port)
        return Endpoint(host, port, scheme=scheme, labels={"access": self.access})
