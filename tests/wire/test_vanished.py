"""Peers that are gone without a word: connections are watched by the kernel, and what it finds is told."""

from __future__ import annotations

import errno
import socket
from typing import Any

import pytest
from wire_answers import FITTING
from wire_lab import GET, AsyncCaller, Caller, RawServer, SyncCaller, read_request

from directlane import ConfigError, Endpoint, Phase
from directlane.core.config.load import load_data
from directlane.core.transports.auto_transport import AutoTransport
from directlane.core.transports.wire.failures import translated
from directlane.core.transports.wire_transport import WireTransport

pytestmark = pytest.mark.skipif(not hasattr(socket, "TCP_KEEPIDLE"), reason="this system calls it otherwise")

_OPTIONS = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE),
    (socket.IPPROTO_TCP, getattr(socket, "TCP_KEEPIDLE", 0)),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT),
)


def options_of(caller: Caller) -> list[int]:
    """Of the connection that rests."""
    assert isinstance(caller, SyncCaller | AsyncCaller)
    channel: Any = caller.channel
    (connection,) = channel._idle
    found = connection._socket if isinstance(caller, SyncCaller) else connection._transport.get_extra_info("socket")
    return [found.getsockopt(*option) for option in _OPTIONS]


def answer(connection: socket.socket, number: int) -> None:
    while read_request(connection) is not None:
        connection.sendall(FITTING)


@pytest.mark.parametrize(
    ("transport", "expected"),
    [
        (WireTransport(), [1, 15, 5, 3]),
        (WireTransport(tcp_keepalive=40), [1, 40, 14, 3]),
        (WireTransport(tcp_keepalive=0.2), [1, 1, 1, 3]),
        (AutoTransport(tcp_keepalive=30), [1, 30, 10, 3]),
    ],
    ids=["default", "40s", "200ms", "auto"],
)
def test_connections_are_watched(caller: Caller, transport: WireTransport | AutoTransport, expected: list[int]) -> None:
    with RawServer(answer) as server:
        caller.open(server.endpoint, transport)
        caller.send(GET)
        assert options_of(caller) == expected


def test_nothing_is_watched_if_nobody_wants_it(caller: Caller) -> None:
    with RawServer(answer) as server:
        caller.open(server.endpoint, WireTransport(tcp_keepalive=0))
        caller.send(GET)
        assert options_of(caller)[0] == 0


def test_peer_that_answers_no_more_is_no_time_limit_of_ours() -> None:
    endpoint = Endpoint("10.0.0.1", 80)
    found = translated(endpoint, TimeoutError(errno.ETIMEDOUT, "Connection timed out"), Phase.WAIT, 600)
    assert found is not None
    assert (str(found), found.phase, found.timed_out) == (
        "10.0.0.1:80 broke off: Connection timed out",
        Phase.WAIT,
        False,
    )
    ours = translated(endpoint, TimeoutError(), Phase.WAIT, 600)
    assert ours is not None
    assert ours.timed_out


def test_more_than_an_hour_is_refused() -> None:
    route = {"provider": "static", "addresses": ["http://127.0.0.1:9"]}
    service = {"routes": [route], "transport": {"kind": "wire", "tcp_keepalive": "2h"}}
    with pytest.raises(ConfigError, match="tcp_keepalive"):
        load_data({"services": {"svc": service}}, source="test", environment={})
