"""The contracts between the core and what is plugged into it."""

from .balancer import ANY, Balancer, BuildContext, Load, Member, Picker, PickInfo
from .discovery import (
    AddressSource,
    Conversation,
    Discovery,
    EmptyAnswer,
    LocalQuery,
    PollContext,
    Query,
    RateBudget,
    Upkeep,
)
from .emulator import ControlFault, Emulator, Instance
from .provider import PLAIN_WIRE, Provider, ProviderFacts, Sign, Wire, http_verdict
from .store import Lease, Permit, Saved, Store, StoreRefused, StoreUnavailable
from .transport import Abort, AsyncBody, AsyncChannel, AsyncStreamed, Body, Channel, Streamed, Timeouts, Transport

__all__ = [
    "ANY",
    "PLAIN_WIRE",
    "Abort",
    "AddressSource",
    "AsyncBody",
    "AsyncChannel",
    "AsyncStreamed",
    "Balancer",
    "Body",
    "BuildContext",
    "Channel",
    "ControlFault",
    "Conversation",
    "Discovery",
    "EmptyAnswer",
    "Emulator",
    "Instance",
    "Lease",
    "Load",
    "LocalQuery",
    "Member",
    "Permit",
    "PickInfo",
    "Picker",
    "PollContext",
    "Provider",
    "ProviderFacts",
    "Query",
    "RateBudget",
    "Saved",
    "Sign",
    "Store",
    "StoreRefused",
    "StoreUnavailable",
    "Streamed",
    "Timeouts",
    "Transport",
    "Upkeep",
    "Wire",
    "http_verdict",
]
