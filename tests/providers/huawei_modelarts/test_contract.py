"""The provider of ModelArts keeps to the contract, with each credential, straight and through the gateway."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from directlane import LocalQuery, Reply
from directlane.core.interfaces import EmptyAnswer
from directlane.providers.huawei_modelarts.provider import HuaweiModelArtsProvider
from directlane.testing import Asked, Canaries, Listed, ProviderContract

DIRECT = {"region": "cn-north-4", "project_id": "0123456789abcdef", "service_id": "8a9f6d3e"}


class ModelArtsCase(ProviderContract):
    """What IAM and the management API answer, whatever the route."""

    model = HuaweiModelArtsProvider
    empty_answer = EmptyAnswer.KEEP

    def answer(self, query: Asked, listed: Sequence[Listed]) -> Reply:
        if isinstance(query, LocalQuery):  # no environment variable is set
            return Reply(200, content=b"{}")
        if "/securitytokens" in query.url or "/securitykey" in query.url:
            key = {"access": "AKtemporary", "secret": "SKtemporary", "securitytoken": "STtemporary"}
            return Reply(200, content=json.dumps({"credential": key | {"expires_at": "2099-01-01T00:00:00Z"}}).encode())
        if "/api/token" in query.url:
            return Reply(404)
        if "/auth/tokens" in query.url:
            ends = b'{"token": {"expires_at": "2099-01-01T00:00:00.000000Z"}}'
            return Reply(201, (("X-Subject-Token", "t0ken"),), ends)
        entries = [
            {"schema": "http", "ip": each.host, "port": each.port}
            | ({} if each.weight is None else {"weight": each.weight})
            for each in listed
        ]
        return Reply(200, content=json.dumps({"endpoints": entries}).encode())

    def credential(self, secret: Canaries) -> Mapping[str, object]:
        return {"type": "token", "token": secret("token")}

    def route(self, secret: Canaries) -> Mapping[str, object]:
        return {**DIRECT, "credential": self.credential(secret), "headers": {"X-Key": secret("model_key")}}

    def other_routes(self, secret: Canaries) -> Sequence[Mapping[str, object]]:
        route = self.route(secret)
        return [{**route, "project_id": "another"}]


class TestToken(ModelArtsCase):
    capabilities = frozenset({"discovery", "weights"})
    hidden = frozenset({"token"})


class TestAkSk(ModelArtsCase):
    capabilities = frozenset({"discovery", "weights"})
    hidden = frozenset({"sk", "security_token"})

    def credential(self, secret: Canaries) -> Mapping[str, object]:
        keys = {"access_key": "AK", "secret_key": secret("sk"), "security_token": secret("security_token")}
        return {"type": "aksk", **keys}


class TestPassword(ModelArtsCase):
    capabilities = frozenset({"discovery", "weights"})
    hidden = frozenset({"password"})

    def credential(self, secret: Canaries) -> Mapping[str, object]:
        return {"type": "password", "user": "alice", "password": secret("password"), "domain": "acme"}


class TestAgency(ModelArtsCase):
    capabilities = frozenset({"discovery", "weights"})
    hidden = frozenset({"sk"})

    def credential(self, secret: Canaries) -> Mapping[str, object]:
        source = {"type": "aksk", "access_key": "AK", "secret_key": secret("sk")}
        return {"type": "agency", "agency": "ops", "domain": "owner", "source": source}


class TestEcs(ModelArtsCase):
    capabilities = frozenset({"discovery", "weights"})

    def credential(self, secret: Canaries) -> Mapping[str, object]:
        return {"type": "ecs"}


class GatewayCase(ModelArtsCase):
    def route(self, secret: Canaries) -> Mapping[str, object]:
        url = "https://infer.example.com/v1/infers/8a9f6d3e"
        return {"access": "gateway", "gateway_url": url, "region": "cn-north-4", "credential": self.credential(secret)}

    def other_routes(self, secret: Canaries) -> Sequence[Mapping[str, object]]:
        return [{**self.route(secret), "gateway_url": "https://infer.example.com/v1/infers/another"}]


class TestGatewayAkSk(GatewayCase):
    capabilities = frozenset({"gateway", "signing"})

    def credential(self, secret: Canaries) -> Mapping[str, object]:
        return {"type": "aksk", "access_key": "AK", "secret_key": secret("sk")}


class TestGatewayToken(GatewayCase):
    capabilities = frozenset({"gateway"})


class TestGatewayPassword(GatewayCase):
    capabilities = frozenset({"gateway", "token-refresh"})
    hidden = frozenset({"password"})

    def route(self, secret: Canaries) -> Mapping[str, object]:
        return {**super().route(secret), "project_id": "0123456789abcdef"}

    def credential(self, secret: Canaries) -> Mapping[str, object]:
        return {"type": "password", "user": "alice", "password": secret("password"), "domain": "acme"}

    def stale_answer(self) -> Reply:
        return Reply(401, content=b'{"error_code": "ModelArts.0202", "error_msg": "expired"}')
