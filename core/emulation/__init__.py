"""Emulated servers on loopback: what every provider's emulator is built of. Knows no cloud. Needs h11.

- `LoopbackServer(handler)`: an HTTP/1.1 server in a thread; a handler turns a `ServerRequest` into a `ServerReply`.
- `ThreadInstance`, `ProcessInstance` (both `ModelInstance`): an instance that answers, keeps a ledger, misbehaves.
- `Fleet`: the instances of one emulated service.
- `Rule("module:function", settings)`: makes an instance's gate (authentication, paths) in whichever process it runs.
- `token_gate(token)`: the rule of instances that share one token.
- `Slow`, `HANG`, `RESET`, `HALF_BODY`, `Status`, `Stream`, `NONE`: what `set_fault` takes.
"""

from .exchange import Ending, ServerReply, ServerRequest, json_reply
from .faults import HALF_BODY, HANG, NONE, RESET, Fault, Slow, Status, Stream
from .fleet import Fleet
from .instance import ModelInstance, ThreadInstance, start_together
from .model import Gate, Model, Rule, echo
from .process import ProcessInstance
from .server import Handler, LoopbackServer
from .token_gate import token_gate

__all__ = [
    "HALF_BODY",
    "HANG",
    "NONE",
    "RESET",
    "Ending",
    "Fault",
    "Fleet",
    "Gate",
    "Handler",
    "LoopbackServer",
    "Model",
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
    "start_together",
    "token_gate",
]
