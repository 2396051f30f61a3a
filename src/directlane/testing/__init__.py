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
    AsyncTransportContract,
    BalancerContract,
    Canaries,
    Cloud,
    EmulatorContract,
    FakeLoad,
    FakeMember,
    Listed,
    ManualClock,
    ProviderContract,
    ServerAnswer,
    StoreContract,
    Told,
    TransportContract,
    TransportLab,
    alone,
    members_of,
    socket_lab,
    talk,
)

__all__ = [
    "Answer",
    "Asked",
    "AsyncTransportContract",
    "BalancerContract",
    "Canaries",
    "Cloud",
    "EmulatorContract",
    "FakeLoad",
    "FakeMember",
    "Listed",
    "ManualClock",
    "ProviderContract",
    "ServerAnswer",
    "StoreContract",
    "Told",
    "TransportContract",
    "TransportLab",
    "alone",
    "members_of",
    "socket_lab",
    "talk",
]
