"""The settings of a route to servers that are registered in etcd."""

from __future__ import annotations

from typing import ClassVar, Self
from urllib.parse import urlsplit

from directlane import Discovery, Duration, Endpoint, Provider, ProviderFacts, Secret, Wire
from pydantic import Field, field_validator, model_validator

from .discovery import EtcdDiscovery

__all__ = ["EtcdProvider"]


class EtcdProvider(Provider):
    """Servers that have registered themselves in etcd. Changes come from a watch, without polling."""

    kind: ClassVar[str] = "etcd"
    facts: ClassVar[ProviderFacts] = ProviderFacts(
        title="etcd",
        summary="Servers that are registered under a prefix of keys; changes are told by a watch.",
        capabilities=frozenset({"discovery", "watch", "weights"}),
    )

    servers: tuple[str, ...] = Field(
        default=("http://127.0.0.1:2379",),
        description="URLs of the cluster's members; the first that answers is asked. Default: http://127.0.0.1:2379.",
    )
    prefix: str = Field(
        min_length=1, description="Prefix of the keys, such as /services/chat/. Each key is one server."
    )
    user: str | None = Field(default=None, description="User of etcd. Default: none.")
    password: Secret | None = Field(default=None, description="The user's password.")
    token: Secret | None = Field(default=None, description="Sent to the servers as a bearer token. Default: none.")
    confirm: Duration = Field(
        default=30.0,
        ge=1.0,
        description="After so long without news, the keys are read again, which confirms the list.",
    )

    @field_validator("servers")
    @classmethod
    def _check_servers(cls, servers: tuple[str, ...]) -> tuple[str, ...]:
        if not servers:
            raise ValueError("name at least one server")
        for server in servers:
            parts = urlsplit(server)
            if parts.scheme not in {"http", "https"} or not parts.hostname or "@" in server or parts.query:
                raise ValueError("each must be a URL such as http://10.0.0.7:2379, without user and query")
        return tuple(server.rstrip("/") for server in servers)

    @model_validator(mode="after")
    def _check_login(self) -> Self:
        if (self.user is None) != (self.password is None):
            raise ValueError("`user` and `password` go together")
        return self

    def discovery(self) -> Discovery:
        login = None if self.user is None or self.password is None else (self.user, self.password)
        return EtcdDiscovery(self.servers, self.prefix, login, self.confirm)

    def wire(self, endpoint: Endpoint) -> Wire:
        del endpoint
        headers = () if self.token is None else (("Authorization", f"Bearer {self.token.reveal()}"),)
        return Wire(headers=headers)
