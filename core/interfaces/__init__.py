"""The contracts between the core and what is plugged into it."""

from .address_text import endpoint_at
from .balancer import ANY, Balancer, BuildContext, Load, Member, Picker, PickInfo
from .discovery import (
    NEXT_PIECE,
    AddressSource,
    Conversation,
    Discovery,
    EmptyAnswer,
    LocalQuery,
    NextPiece,
    PollContext,
    Query,
    RateBudget,
    Step,
    Upkeep,
)
from .emulator import ControlFault, Emulator, Instance
from .finding import Finding, Level
from .plain_servers import PlainServersProvider, TokenScheme, authorization
from .provider import PLAIN_WIRE, Provider, ProviderFacts, Sign, Wire, http_verdict
from .store import Lease, Permit, Saved, Store, StoreRefused, StoreUnavailable
from .transport import Abort, AsyncBody, AsyncChannel, AsyncStreamed, Body, Channel, Streamed, Timeouts, Transport

__all__ = [
    "ANY",
    "NEXT_PIECE",
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
    "Finding",
    "Instance",
    "Lease",
    "Level",
    "Load",
    "LocalQuery",
    "Member",
    "NextPiece",
    "Permit",
    "PickInfo",
    "Picker",
    "PlainServersProvider",
    "PollContext",
    "Provider",
    "ProviderFacts",
    "Query",
    "RateBudget",
    "Saved",
    "Sign",
    "Step",
    "Store",
    "StoreRefused",
    "StoreUnavailable",
    "Streamed",
    "Timeouts",
    "TokenScheme",
    "Transport",
    "Upkeep",
    "Wire",
    "authorization",
    "endpoint_at",
    "http_verdict",
]
