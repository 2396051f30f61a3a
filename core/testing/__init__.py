"""The conformance kit: what every plug-in keeps to, as tests to subclass. Needs pytest and hypothesis."""

from ._async.transport_contract import AsyncTransportContract
from ._sync.transport_contract import TransportContract
from .balancer_contract import BalancerContract
from .canaries import Canaries
from .conversation import Answer, Asked, Cloud, Told, talk
from .emulator_contract import EmulatorContract
from .guard import alone
from .listings import Listed
from .members import FakeLoad, FakeMember, ManualClock, members_of
from .provider_contract import ProviderContract
from .store_contract import StoreContract
from .transport_lab import ServerAnswer, TransportLab, socket_lab

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
