"""The provider of PAI-EAS keeps to the contract, in each way of reaching a service."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from directlane import Reply
from directlane.providers.alibaba_eas.provider import AlibabaEasProvider
from directlane.testing import Asked, Canaries, Listed, ProviderContract


class EasCase(ProviderContract):
    """What PAI-EAS answers, whatever the route."""

    model = AlibabaEasProvider

    def answer(self, query: Asked, listed: Sequence[Listed]) -> Reply:
        items = [
            {"app": "a", "ip": each.host, "port": each.port} | ({} if each.weight is None else {"weight": each.weight})
            for each in listed
        ]
        return Reply(200, content=json.dumps({"correlative": ["a"], "endpoints": {"items": items}}).encode())

    def other_routes(self, secret: Canaries) -> Sequence[Mapping[str, object]]:
        route = self.route(secret)
        return [{**route, "service": "another"}, {**route, "region": "cn-beijing"}]


class TestDirect(EasCase):
    capabilities = frozenset({"discovery", "weights"})

    def route(self, secret: Canaries) -> Mapping[str, object]:
        return {"service": "scorecard", "region": "cn-hangzhou", "token": secret("token")}


class TestDirectSigned(EasCase):
    capabilities = frozenset({"discovery", "weights", "signing"})

    def route(self, secret: Canaries) -> Mapping[str, object]:
        return {"service": "scorecard", "region": "cn-hangzhou", "token": secret("token"), "auth": "signed"}
