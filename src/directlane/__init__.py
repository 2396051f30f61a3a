"""Call model services straight at their instances, on any cloud.

    import directlane

    with directlane.Client.from_file("directlane.toml") as client:
        reply = client.service("scorecard").send(b'[{"money_credit": 3000000}]')

What stands in `__all__` is the public interface; everything else may change.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from .core.version import __version__

if TYPE_CHECKING:
    from .core.client import (
        AsyncClient,
        AsyncReplyStream,
        AsyncService,
        Client,
        RepeatedRetriesWarning,
        ReplyStream,
        Service,
        httpx2_transport,
        httpx_transport,
    )
    from .core.client.leasing import EndpointLease
    from .core.config.load import load_data, load_file
    from .core.config.model import CallSettings, Config, DiscoverySettings, RoutePlan, ServicePlan
    from .core.dispatch.routing import TierView
    from .core.endpoint import Endpoint, InvalidEndpoint, Snapshot
    from .core.errors import (
        AttemptRecord,
        AttemptsError,
        CallError,
        ClosedError,
        ConfigError,
        ConfigProblem,
        CredentialError,
        DeadlineError,
        DirectlaneError,
        DiscoveryError,
        DiscoveryRefused,
        DiscoveryThrottled,
        DiscoveryUnreadable,
        InvalidRequestError,
        NoEndpointError,
        Phase,
        PluginError,
        QueueFullError,
        TransportError,
        UnknownServiceError,
    )
    from .core.fields import Duration, Secret
    from .core.interfaces import (
        NEXT_PIECE,
        Abort,
        AddressSource,
        AsyncBody,
        AsyncChannel,
        AsyncStreamed,
        Balancer,
        Body,
        BuildContext,
        Channel,
        Conversation,
        Discovery,
        EmptyAnswer,
        Emulator,
        Finding,
        Lease,
        Level,
        Load,
        LocalQuery,
        Member,
        Permit,
        Picker,
        PickInfo,
        PollContext,
        Provider,
        ProviderFacts,
        Query,
        RateBudget,
        Saved,
        Sign,
        Store,
        StoreRefused,
        StoreUnavailable,
        Streamed,
        Timeouts,
        Transport,
        Upkeep,
        Wire,
        http_verdict,
    )
    from .core.message import Headers, Reply, Request, StatusError
    from .core.outcome import FAIL, OK, REAUTHENTICATE, Action, Outcome, Verdict, back_off, retry_elsewhere
    from .core.plugins.hooks import ProviderPlugin, hookimpl
    from .core.pool.pool import EndpointView
    from .core.resilience.slots import QueueView
    from .core.retry_after import retry_after
    from .core.rpc import AsyncGrpcChannel, AsyncGrpcMessages, GrpcChannel, GrpcMessages

__all__ = [
    "FAIL",
    "NEXT_PIECE",
    "OK",
    "REAUTHENTICATE",
    "Abort",
    "Action",
    "AddressSource",
    "AsyncBody",
    "AsyncChannel",
    "AsyncClient",
    "AsyncGrpcChannel",
    "AsyncGrpcMessages",
    "AsyncReplyStream",
    "AsyncService",
    "AsyncStreamed",
    "AttemptRecord",
    "AttemptsError",
    "Balancer",
    "Body",
    "BuildContext",
    "CallError",
    "CallSettings",
    "Channel",
    "Client",
    "ClosedError",
    "Config",
    "ConfigError",
    "ConfigProblem",
    "Conversation",
    "CredentialError",
    "DeadlineError",
    "DirectlaneError",
    "Discovery",
    "DiscoveryError",
    "DiscoveryRefused",
    "DiscoverySettings",
    "DiscoveryThrottled",
    "DiscoveryUnreadable",
    "Duration",
    "EmptyAnswer",
    "Emulator",
    "Endpoint",
    "EndpointLease",
    "EndpointView",
    "Finding",
    "GrpcChannel",
    "GrpcMessages",
    "Headers",
    "InvalidEndpoint",
    "InvalidRequestError",
    "Lease",
    "Level",
    "Load",
    "LocalQuery",
    "Member",
    "NoEndpointError",
    "Outcome",
    "Permit",
    "Phase",
    "PickInfo",
    "Picker",
    "PluginError",
    "PollContext",
    "Provider",
    "ProviderFacts",
    "ProviderPlugin",
    "Query",
    "QueueFullError",
    "QueueView",
    "RateBudget",
    "RepeatedRetriesWarning",
    "Reply",
    "ReplyStream",
    "Request",
    "RoutePlan",
    "Saved",
    "Secret",
    "Service",
    "ServicePlan",
    "Sign",
    "Snapshot",
    "StatusError",
    "Store",
    "StoreRefused",
    "StoreUnavailable",
    "Streamed",
    "TierView",
    "Timeouts",
    "Transport",
    "TransportError",
    "UnknownServiceError",
    "Upkeep",
    "Verdict",
    "Wire",
    "__version__",
    "back_off",
    "hookimpl",
    "http_verdict",
    "httpx2_transport",
    "httpx_transport",
    "load_data",
    "load_file",
    "retry_after",
    "retry_elsewhere",
]

# A program that uses a part only, such as an emulated instance, shall not pay for the client and what that needs.
_HOMES = (
    ".core.client",
    ".core.client.leasing",
    ".core.config.load",
    ".core.config.model",
    ".core.dispatch.routing",
    ".core.endpoint",
    ".core.errors",
    ".core.fields",
    ".core.interfaces",
    ".core.message",
    ".core.outcome",
    ".core.plugins.hooks",
    ".core.pool.pool",
    ".core.resilience.slots",
    ".core.retry_after",
    ".core.rpc",
)

if not TYPE_CHECKING:  # a checker would take any name for one of ours

    def __getattr__(name: str) -> object:
        """The public names come in together, when the first of them is asked for."""
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        names = globals()
        for home in _HOMES:
            module = import_module(home, __name__)
            names.update({each: getattr(module, each) for each in module.__all__ if each in __all__})
        return names[name]

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
