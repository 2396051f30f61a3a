"""The settings of a route to the pods of a Kubernetes service."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from ...core.fields import ServerName
from ...core.interfaces import Discovery, PlainServersProvider, ProviderFacts
from ...core.outcome import Outcome, Verdict
from .auth import SERVICE_ACCOUNT, AccessSettings
from .discovery import KubernetesDiscovery
from .slices import Family, Wanted
from .verdicts import verdict

__all__ = ["KubernetesProvider"]

_NO_URL = "`api` is not a URL such as https://10.0.0.1:6443"
_LABEL = r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"


class KubernetesProvider(PlainServersProvider):
    """Calls go straight to the pods of a Service. Changes come from a watch, without polling."""

    kind: ClassVar[str] = "kubernetes"
    facts: ClassVar[ProviderFacts] = ProviderFacts(
        title="Kubernetes",
        summary="The ready pods of a Service, from its EndpointSlices; changes are told by a watch.",
        capabilities=frozenset({"discovery", "watch"}),
    )

    service: str = Field(pattern=_LABEL, description="Name of the Service.")
    namespace: str | None = Field(
        default=None, pattern=_LABEL, description="Namespace of the Service. Default: the pod's own."
    )
    port: Annotated[int, Field(ge=1, le=65535)] | str | None = Field(
        default=None,
        description="The pods' port, by its name in the Service or by its number at the pods. Default: the only one.",
    )
    family: Family = Field(
        default="auto",
        description="Which addresses: ipv4, ipv6, or auto: IPv4 where the Service has such addresses, else IPv6.",
    )
    scheme: Literal["http", "https"] = Field(
        default="http",
        description="https: the pods speak TLS, and their certificates must have the name in `server_name`. Default: "
        "http.",
    )
    server_name: ServerName | None = Field(
        default=None,
        description="The name that the pods' certificates must have, for https; it is sent as SNI and as Host too. "
        "Default: that of the Service in its cluster, `SERVICE.NAMESPACE.svc`.",
    )
    api: str | None = Field(
        default=None,
        description="URL of the API server; http only on this machine, as `kubectl proxy` gives it. Default: as in a "
        "pod, from KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT.",
    )
    service_account: Path | None = Field(
        default=None,
        description="Folder with the files `token` and `ca.crt` (and `namespace`), read anew for each question. "
        f"Default: {SERVICE_ACCOUNT}; nothing for an `api` with http.",
    )

    @model_validator(mode="after")
    def _check_api(self) -> Self:
        if self.server_name is not None and self.scheme != "https":
            raise ValueError('`server_name` is for https: remove it, or set scheme = "https"')
        if self.api is None:
            return self
        try:
            parts = urlsplit(self.api)
            is_url = parts.scheme in {"http", "https"} and parts.hostname is not None and parts.port != 0
        except ValueError:
            raise ValueError(_NO_URL) from None
        if not is_url or parts.query or parts.fragment or "@" in self.api:
            raise ValueError(_NO_URL)
        if parts.scheme == "http" and not _is_here(parts.hostname or ""):
            raise ValueError("`api` with http would send the service account's token in clear; use https")
        if self.namespace is None and parts.scheme == "http" and self.service_account is None:
            raise ValueError("`api` with http needs a `namespace`: there is no service account to take it from")
        return self

    def discovery(self) -> Discovery:
        """The API server."""
        folder = self.service_account
        if folder is None and not (self.api or "").startswith("http:"):
            folder = SERVICE_ACCOUNT
        api = None if self.api is None else self.api.rstrip("/")
        access = AccessSettings(api, self.namespace, folder)
        return KubernetesDiscovery(access, self.service, Wanted(self.port, self.family, self.scheme, self.server_name))

    def classify(self, outcome: Outcome) -> Verdict:
        """What HTTP itself says."""
        return verdict(outcome)


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
