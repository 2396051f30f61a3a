"""The conformance kit: what every plug-in keeps to, as tests to subclass. Needs pytest and hypothesis."""

from .balancer_contract import BalancerContract
from .canaries import Canaries
from .conversation import Answer, Asked, Cloud, Told, talk
from .guard import alone
from .listings import Listed
from .members import FakeLoad, FakeMember, ManualClock, members_of
from .provider_contract import ProviderContract

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
