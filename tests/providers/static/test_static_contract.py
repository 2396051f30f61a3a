"""The provider of plain addresses keeps to the contract."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from directlane.providers.static import StaticProvider
from directlane.testing import Canaries, ProviderContract


class TestStatic(ProviderContract):
    model = StaticProvider

    def route(self, secret: Canaries) -> Mapping[str, object]:
        addresses = ["http://10.0.0.7:8000", {"url": "http://[fd00::7]:8000/base", "weight": 0}]
        return {"addresses": addresses, "token": secret("token")}

    def other_routes(self, secret: Canaries) -> Sequence[Mapping[str, object]]:
        return [{"addresses": ["http://10.0.0.9:8000"], "token": secret("token")}]
