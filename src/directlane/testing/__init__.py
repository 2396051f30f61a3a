"""The conformance kit for plug-ins: subclass a contract, give a factory, run pytest.

    class TestAcme(ProviderContract):
        model = AcmeProvider
        ...

Needs `directlane[testing]`. The pytest plug-in beside it brings a report and fixtures:
`-p directlane.testing.plugin`.
"""

from ..core.testing import (
    Answer,
    Asked,
    BalancerContract,
    Canaries,
    Cloud,
    FakeLoad,
    FakeMember,
    Listed,
    ManualClock,
    ProviderContract,
    Told,
    alone,
    members_of,
    talk,
)

__all__ = [
    "Answer",
    "Asked",
    "BalancerContract",
    "Canaries",
    "Cloud",
    "FakeLoad",
    "FakeMember",
    "Listed",
    "ManualClock",
    "ProviderContract",
    "Told",
    "alone",
    "members_of",
    "talk",
]
