"""Each built-in transport keeps to the contract, on each side that it has."""

from __future__ import annotations

import pytest

from directlane import Endpoint, Phase, Request, Timeouts, Transport, TransportError
from directlane.core.transports.aiohttp_transport import AiohttpTransport
from directlane.core.transports.auto_transport import AutoTransport
from directlane.core.transports.httpx_transport import HttpxTransport
from directlane.core.transports.memory import Scripted
from directlane.core.transports.memory_transport import MemoryTransport
from directlane.core.transports.wire_transport import WireTransport
from directlane.emulation import Ending
from directlane.testing import AsyncTransportContract, TransportContract, TransportLab


class Httpx:
    def transport(self) -> Transport:
        return HttpxTransport()


class TestHttpx(Httpx, TransportContract):
    pass


class TestHttpxAsync(Httpx, AsyncTransportContract):
    pass


class Auto:
    def transport(self) -> Transport:
        return AutoTransport()


class TestAuto(Auto, TransportContract):
    pass


class TestAutoAsync(Auto, AsyncTransportContract):
    pass


class Wire:
    def transport(self) -> Transport:
        return WireTransport()


class TestWire(Wire, TransportContract):
    pass


class TestWireAsync(Wire, AsyncTransportContract):
    pass


class Aiohttp:
    def transport(self) -> Transport:
        pytest.importorskip("aiohttp", reason="pip install 'directlane[aiohttp]'")
        return AiohttpTransport()


class TestAiohttp(Aiohttp, TransportContract):
    pass


class TestAiohttpAsync(Aiohttp, AsyncTransportContract):
    pass


class Memory:
    """No socket: the same script, in memory."""

    def transport(self) -> Transport:
        return MemoryTransport(servers={})

    @pytest.fixture
    def lab(self) -> TransportLab:
        endpoint = Endpoint("10.0.0.1", 80)

        def serve(request: Request, timeouts: Timeouts) -> Scripted | TransportError:
            answer = made.script.answer
            headers = (*request.headers, ("host", endpoint.authority))
            made.script.seen.append(Request(request.method, request.target, headers, request.content))
            if answer.ending is Ending.HANG:
                return TransportError("too late", phase=Phase.WAIT, timed_out=True)
            if answer.ending is Ending.RESET:
                return TransportError("reset", phase=Phase.WAIT)
            if answer.ending is Ending.HALF:
                half = b"".join(answer.pieces)[: sum(map(len, answer.pieces)) // 2]
                return Scripted(answer.status, answer.headers, [half, TransportError("half", phase=Phase.STREAM)])
            return Scripted(answer.status, answer.headers, answer.pieces)

        transport = MemoryTransport(servers={endpoint.authority: serve})
        made = TransportLab(transport, endpoint, Endpoint("10.0.0.2", 80))
        return made

    def test_settings_are_strict_and_described(self) -> None:
        pytest.skip("its servers are functions, so it stands in no configuration file")


class TestMemory(Memory, TransportContract):
    pass


class TestMemoryAsync(Memory, AsyncTransportContract):
    pass
