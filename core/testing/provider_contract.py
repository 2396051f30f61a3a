"""What every provider keeps to: subclass `ProviderContract`, say three things, and run pytest.

    class TestAcme(ProviderContract):
        model = AcmeProvider

        def route(self, secret):
            return {"registry": "registry.acme", "service": "ranking", "key": secret("key")}

        def answer(self, query, listed):
            servers = [{"host": each.host, "port": each.port, "load": each.weight} for each in listed]
            return Reply(200, content=json.dumps({"servers": servers}).encode())

The rules stand in four classes, one for each part of a provider; each test is one rule and its name says which.
"""

from __future__ import annotations

from .provider_discovery import DiscoveryRules
from .provider_secrets import SecretRules
from .provider_settings import ProviderSettingsRules
from .provider_verdicts import VerdictRules
from .provider_wire import WireRules

__all__ = ["ProviderContract"]


class ProviderContract(ProviderSettingsRules, DiscoveryRules, SecretRules, WireRules, VerdictRules):
    """The contract of `Provider` and `Discovery`, as tests. See `ProviderCase` for what a subclass says."""
