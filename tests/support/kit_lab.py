"""A correct provider, small and complete, and what runs single rules of the kit on it or on a broken copy of it."""

from __future__ import annotations

import hashlib
import hmac
import inspect
import json
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from typing import ClassVar, cast

import pytest
from pydantic import Field

from directlane import (
    AddressSource,
    Conversation,
    Discovery,
    DiscoveryRefused,
    DiscoveryThrottled,
    DiscoveryUnreadable,
    EmptyAnswer,
    Endpoint,
    InvalidEndpoint,
    PollContext,
    Provider,
    ProviderFacts,
    Query,
    Reply,
    Request,
    Secret,
    Snapshot,
    Wire,
)
from directlane.core.message import Headers
from directlane.core.retry_after import retry_after
from directlane.testing import Asked, Canaries, Listed, ProviderContract

__all__ = ["Registry", "RegistryCase", "RegistryDiscovery", "run_rule"]


class Registry(Provider):
    """A service in a registry; its instances check a signature."""

    kind: ClassVar[str] = "kit_registry"
    facts: ClassVar[ProviderFacts] = ProviderFacts(
        "Registry", "For tests of the kit.", capabilities=frozenset({"discovery", "weights", "signing"})
    )

    host: str = Field(description="Host of the registry.")
    service: str = Field(description="Name of the service.")
    key: Secret = Field(description="Key for the registry.")
    model_key: Secret = Field(description="Signs calls.")

    def discovery(self) -> Discovery:
        return RegistryDiscovery(self.host, self.service, self.key)

    def wire(self, endpoint: Endpoint) -> Wire:
        key = self.model_key.reveal().encode()

        def sign(request: Request, unix_time: float) -> Headers:
            if not isinstance(request.content, bytes):
                raise ValueError("a streamed body cannot be signed: pass bytes")
            text = f"{request.method}\n{request.target}\n{int(unix_time)}\n".encode() + request.content
            return (("X-Signature", hmac.new(key, text, hashlib.sha256).hexdigest()),)

        return Wire(prefix=f"/serve/{self.service}", sign=sign)


class RegistryDiscovery:
    """Asks the registry."""

    addresses: AddressSource = AddressSource.LEARNED
    empty_answer: EmptyAnswer = EmptyAnswer.REFUSE

    def __init__(self, host: str, service: str, key: Secret) -> None:
        self.url = f"http://{host}/v1/services/{service}"
        self.key = key

    @property
    def identity(self) -> Hashable:
        return "kit_registry", self.url, self.key.fingerprint()

    def poll(self, context: PollContext) -> Conversation:
        reply = yield Query(self.url, headers=(("X-Key", self.key.reveal()),))
        return self.read(reply)

    def read(self, reply: Reply) -> Snapshot:
        if reply.status == 429:
            raise DiscoveryThrottled("the registry is asked too often", retry_after=retry_after(reply.headers))
        if reply.status != 200:
            raise DiscoveryRefused(f"the registry answered {reply.status}", status=reply.status)
        found: list[Endpoint] = []
        rejected: list[str] = []
        for number, entry in enumerate(self.entries(reply.content), start=1):
            try:
                found.append(self.endpoint(entry))
            except InvalidEndpoint as error:
                rejected.append(f"entry {number}: {error}")
        return Snapshot(tuple(found), tuple(rejected), raw=reply.content)

    def entries(self, body: bytes) -> list[dict[str, object]]:
        try:
            servers = cast("list[dict[str, object]]", json.loads(body)["servers"])
            return [dict(server) for server in servers]
        except (ValueError, KeyError, TypeError, RecursionError):
            raise DiscoveryUnreadable("the registry's answer cannot be read") from None

    def endpoint(self, entry: dict[str, object]) -> Endpoint:
        host, port = cast("str", entry.get("host")), cast("int", entry.get("port"))
        endpoint = Endpoint(host, port, weight=cast("int | None", entry.get("load")))
        if endpoint.ip is None:
            raise InvalidEndpoint("it is not an IP address")
        return endpoint


class RegistryCase(ProviderContract):
    """The case of the correct provider; a mutant replaces its model."""

    model: ClassVar[type[Provider]] = Registry
    hidden = frozenset({"key"})

    def route(self, secret: Canaries) -> Mapping[str, object]:
        keys = {"key": secret("key"), "model_key": secret("model_key")}
        return {"host": "registry.acme", "service": "ranking", **keys}

    def answer(self, query: Asked, listed: Sequence[Listed]) -> Reply:
        servers = [{"host": each.host, "port": each.port, "load": each.weight} for each in listed]
        return Reply(200, content=json.dumps({"servers": servers}).encode())

    def other_routes(self, secret: Canaries) -> Sequence[Mapping[str, object]]:
        return [{**self.route(secret), "service": "another"}, {**self.route(secret), "host": "another"}]


def run_rule(case: type, rule: str) -> None:
    """Run one test of a contract, with every parameter it has, as pytest does.

    Raises:
        AssertionError: The rule is broken.
    """
    method = cast("Callable[..., None]", getattr(case(), rule))
    for arguments in _parameters(method):
        known = inspect.signature(method).parameters
        assert set(arguments) <= set(known)
        method(**arguments)


def rules_of(case: type) -> list[str]:
    """The names of all tests of a contract."""
    return [name for name in dir(case) if name.startswith("test_")]


def _parameters(method: Callable[..., None]) -> Iterator[dict[str, object]]:
    marks = cast("list[pytest.Mark]", getattr(method, "pytestmark", []))
    found = [mark for mark in marks if mark.name == "parametrize"]
    if not found:
        yield {}
        return
    [mark] = found
    for value in cast("Sequence[object]", mark.args[1]):
        yield {cast("str", mark.args[0]): value}
