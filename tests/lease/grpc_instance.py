"""A gRPC instance, run as a program, with bytes for messages. Writes down what it ran.

    python grpc_instance.py LEDGER

Prints its port. Methods of `/test.Instance/`:

    Echo      answers "PID REQUEST"
    Count     answers as many messages "PID NUMBER" as the request says
    Endless   answers "PID NUMBER" for ever
    Status    ends with the status whose name is the request
    Metadata  answers the metadata, one "name=value" on a line
    Hang      never answers
    TimeLeft  answers the seconds to the deadline
"""

from __future__ import annotations

import itertools
import os
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NoReturn

import grpc

LEDGER = Path(sys.argv[1])
PID = b"%d " % os.getpid()


def note(request: bytes) -> None:
    with LEDGER.open("ab", buffering=0) as ledger:
        ledger.write(request + b"\n")


def echo(request: bytes, context: grpc.ServicerContext) -> bytes:
    note(request)
    return PID + request


def count(request: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
    note(request)
    for number in range(int(request)):
        yield PID + b"%d" % number


def endless(request: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
    for number in itertools.count():
        if not context.is_active():
            return
        yield PID + b"%d" % number


def status(request: bytes, context: grpc.ServicerContext) -> NoReturn:
    context.abort(grpc.StatusCode[request.decode()], "as you wished")


def metadata(request: bytes, context: grpc.ServicerContext) -> bytes:
    return "\n".join(f"{name}={value!s}" for name, value in context.invocation_metadata()).encode()


def hang(request: bytes, context: grpc.ServicerContext) -> bytes:
    ended = threading.Event()
    context.add_callback(ended.set)
    ended.wait()
    return b""


def time_left(request: bytes, context: grpc.ServicerContext) -> bytes:
    return b"%f" % context.time_remaining()


UNARY: dict[str, Callable[[bytes, grpc.ServicerContext], bytes]] = {
    "Echo": echo,
    "Status": status,
    "Metadata": metadata,
    "Hang": hang,
    "TimeLeft": time_left,
}
METHODS: dict[str, Any] = {name: grpc.unary_unary_rpc_method_handler(function) for name, function in UNARY.items()}
METHODS["Count"] = grpc.unary_stream_rpc_method_handler(count)
METHODS["Endless"] = grpc.unary_stream_rpc_method_handler(endless)

server = grpc.server(ThreadPoolExecutor(64), options=[("grpc.so_reuseport", 0)])
server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("test.Instance", METHODS)])
port = server.add_insecure_port("127.0.0.1:0")
server.start()
print(port, flush=True)
server.wait_for_termination()
