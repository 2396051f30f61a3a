"""What every provider keeps to: subclass `ProviderContract`, say three things, and run pytest.

    class TestAcme(ProviderContract):
        model = AcmeProvider

        def route(self, secret):
            return {"registry": "registry.acme", "service": "ranking", "key": secret("key")}

        def answer(self, query, listed):
            servers = [{"host": each.host, "port": each.port, "load": each.weight} for each in listed]
            return Reply(200, content=json.dumps({"servers": servers}).encode())

The rules stand in some classes, one for each part of a provider; each test is one rule and its name says which.
"""

from __future__ import annotations

from .provider_answers import AnswerRules
from .provider_lists import ListRules
from .provider_questions import QuestionRules
from .provider_secrets import SecretRules
from .provider_settings import ProviderSettingsRules
from .provider_upkeep import UpkeepRules
from .provider_verdicts import VerdictRules
from .provider_watch import WatchRules
from .provider_wire import WireRules

__all__ = ["ProviderContract"]


class ProviderContract(
    ProviderSettingsRules,
    QuestionRules,
    ListRules,
    AnswerRules,
    WatchRules,
    UpkeepRules,
    SecretRules,
    WireRules,
    VerdictRules,
):
    """The contract of `Provider`, `Discovery` and `Upkeep`, as tests. See `ProviderCase` for what a subclass says."""
