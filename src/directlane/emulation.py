"""Servers on loopback that behave like a cloud: for the tests of an application, and for an emulator of your own.

What stands in `__all__` is public. Needs the extra `emulator`. The emulators themselves come with their providers, such
as `directlane.providers.alibaba_eas.emulator`.
"""

from .core.emulation import (
    HALF_BODY,
    HANG,
    NONE,
    RESET,
    Ending,
    Fault,
    Fleet,
    Gate,
    Handler,
    LoopbackServer,
    ModelInstance,
    ProcessInstance,
    Rule,
    ServerReply,
    ServerRequest,
    Slow,
    Status,
    Stream,
    ThreadInstance,
    echo,
    json_reply,
)
from .core.interfaces import ControlFault, Emulator, Instance

__all__ = [
    "HALF_BODY",
    "HANG",
    "NONE",
    "RESET",
    "ControlFault",
    "Emulator",
    "Ending",
    "Fault",
    "Fleet",
    "Gate",
    "Handler",
    "Instance",
    "LoopbackServer",
    "ModelInstance",
    "ProcessInstance",
    "Rule",
    "ServerReply",
    "ServerRequest",
    "Slow",
    "Status",
    "Stream",
    "ThreadInstance",
    "echo",
    "json_reply",
]
