"""A small name server on loopback, over UDP and TCP on one port, in threads of its own. For the emulator and for tests.

    with NameServer({("chat.test.", "A"): ["10.0.0.1", "10.0.0.2"]}) as server:
        server.records[("chat.test.", "AAAA")] = ["fd00::1"]
        server.misbehave = lambda message, over_tcp: None     # says nothing

It answers for the names that it has, follows aliases (CNAME) among them, and says NXDOMAIN for all others.
"""

from __future__ import annotations

import socket
import socketserver
import struct
import threading
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Self, cast

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset

from ...core.endpoint import authority

__all__ = ["SILENCE", "Misbehave", "NameServer", "empty_answer"]

_SOA = "ns.test. hostmaster.test. 1 3600 600 86400 {ttl}"
_PORTS_TRIED = 50
_MAX_ALIASES = 8
_POLL = 0.02
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)

SILENCE = b""
"""Nothing is sent; over TCP the connection stays open."""

Misbehave = Callable[[dns.message.Message, bool], bytes | None]
"""Gets a question and whether it came over TCP. Returns what to send instead of the answer; `SILENCE` for nothing;
None: the answer. Raises `ConnectionResetError`: the connection is reset (over UDP: silence)."""


class NameServer:
    """Serves some records.

    Args:
        records: By name (in lower case, with the dot at its end) and type, in the text form of zone files. A name
            without records of any type does not exist.
        host: Address to listen on. Default `127.0.0.1`.
        ttl: Of every record, in seconds. Default 0, which means: do not keep it.
    """

    def __init__(
        self, records: Mapping[tuple[str, str], Sequence[str]] | None = None, *, host: str = "127.0.0.1", ttl: int = 0
    ) -> None:
        self.records: dict[tuple[str, str], Sequence[str]] = dict(records or {})
        """May be changed at any time."""
        self.ttl = ttl
        """May be changed at any time."""
        self.has_additional = True
        """Whether the addresses of the targets come along with SRV records."""
        self.limit: int | None = None
        """A UDP answer of more bytes is truncated. Default: what the client allows."""
        self.misbehave: Misbehave | None = None
        self.asked: list[tuple[str, str, bool]] = []
        """Every question: name, type, and whether it came over TCP."""
        self.ends: threading.Event = threading.Event()
        self._host = host
        self._port = 0
        self._servers: list[socketserver.BaseServer] = []
        self._threads: list[threading.Thread] = []

    @property
    def host(self) -> str:
        """Where it listens."""
        return self._host

    @property
    def port(self) -> int:
        """Where it listens; 0 before the first start."""
        return self._port

    @property
    def address(self) -> str:
        """`host:port`."""
        return authority(self._host, self._port)

    def start(self) -> None:
        """Listen.

        Raises:
            OSError: There is no port that is free for both.
        """
        self.ends.clear()
        self._servers = self._bound()
        self._port = cast("tuple[str, int]", self._servers[0].server_address)[1]
        for server in self._servers:
            thread = threading.Thread(target=server.serve_forever, args=(_POLL,), name="directlane-dns", daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        """End. Harmless when called again."""
        self.ends.set()
        servers, self._servers = self._servers, []
        for server in servers:
            server.shutdown()
            server.server_close()
        threads, self._threads = self._threads, []
        for thread in threads:
            thread.join()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _bound(self) -> list[socketserver.BaseServer]:
        """Both servers on one port. What is free for TCP may be taken for UDP: then another one is tried."""
        for left in reversed(range(_PORTS_TRIED)):
            tcp = _TcpServer((self._host, self._port), self)
            try:
                udp = _UdpServer((self._host, tcp.server_address[1]), self)
            except OSError:
                tcp.server_close()
                if not left or self._port:
                    raise
            else:
                return [tcp, udp]
        raise AssertionError("the last try has raised")

    # --- in the servers' threads --------------------------------------------------------------------------------------

    def reply(self, wire: bytes, *, over_tcp: bool) -> bytes:
        """What to send; `SILENCE` for nothing.

        Raises:
            ConnectionResetError: The connection is to be reset.
        """
        try:
            query = dns.message.from_wire(wire)
        except dns.exception.DNSException:
            return SILENCE
        question = query.question[0]
        self.asked.append((question.name.to_text().lower(), dns.rdatatype.to_text(question.rdtype), over_tcp))
        instead = None if self.misbehave is None else self.misbehave(query, over_tcp)
        if instead is not None:
            return instead
        answer = self._answer(query)
        whole = answer.to_wire()
        limit = query.payload or 512 if self.limit is None else self.limit
        if over_tcp or len(whole) <= limit:
            return whole
        cut = dns.message.make_response(query)
        cut.flags |= dns.flags.TC
        return cut.to_wire()

    def _answer(self, query: dns.message.Message) -> dns.message.Message:
        response = dns.message.make_response(query)
        response.flags |= dns.flags.RA
        name, kind = query.question[0].name, dns.rdatatype.to_text(query.question[0].rdtype)
        for _ in range(_MAX_ALIASES):
            alias = self._of(name, "CNAME")
            if alias is None or kind == "CNAME":
                break
            response.answer.append(alias)
            name = dns.name.from_text(self.records[name.to_text().lower(), "CNAME"][0])
        records = self._of(name, kind)
        if records is not None:
            response.answer.append(records)
            if kind == "SRV" and self.has_additional:
                targets = [dns.name.from_text(text.split()[-1]) for text in self.records[name.to_text().lower(), "SRV"]]
                found = [self._of(target, address) for target in dict.fromkeys(targets) for address in ("A", "AAAA")]
                response.additional += [each for each in found if each is not None]
            return response
        exists = any(known == name.to_text().lower() for known, _ in tuple(self.records))
        return empty_answer(query, dns.rcode.NOERROR if exists else dns.rcode.NXDOMAIN, ttl=self.ttl, base=response)

    def _of(self, name: dns.name.Name, kind: str) -> dns.rrset.RRset | None:
        texts = self.records.get((name.to_text().lower(), kind))
        return dns.rrset.from_text_list(name, self.ttl, "IN", kind, texts) if texts else None


def empty_answer(
    query: dns.message.Message,
    code: dns.rcode.Rcode,
    *,
    ttl: int = 0,
    base: dns.message.Message | None = None,
) -> dns.message.Message:
    """An answer without records; for NOERROR and NXDOMAIN it says for how long that holds (RFC 2308)."""
    response = base if base is not None else dns.message.make_response(query)
    response.set_rcode(code)
    if code in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
        response.authority.append(dns.rrset.from_text(".", ttl, "IN", "SOA", _SOA.format(ttl=ttl)))
    return response


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


class _UdpServer(socketserver.ThreadingUDPServer):
    daemon_threads = True
    max_packet_size = 65535

    def __init__(self, address: tuple[str, int], owner: NameServer) -> None:
        self.owner = owner
        self.address_family = _family(address[0])
        super().__init__(address, _OverUdp)


class _OverUdp(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        wire, reply_socket = cast("tuple[bytes, socket.socket]", self.request)
        try:
            answer = cast("_UdpServer", self.server).owner.reply(wire, over_tcp=False)
            if answer:
                reply_socket.sendto(answer, self.client_address)
        except OSError:  # told to reset, or we end
            return


class _TcpServer(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, address: tuple[str, int], owner: NameServer) -> None:
        self.owner = owner
        self.address_family = _family(address[0])
        super().__init__(address, _OverTcp)


class _OverTcp(socketserver.StreamRequestHandler):
    timeout = 60

    def handle(self) -> None:
        owner = cast("_TcpServer", self.server).owner
        connection = cast("socket.socket", self.connection)
        try:
            while len(head := self.rfile.read(2)) == 2:
                answer = owner.reply(self.rfile.read(int.from_bytes(head, "big")), over_tcp=True)
                if not answer:
                    owner.ends.wait(60)
                    return
                self.wfile.write(len(answer).to_bytes(2, "big") + answer)
        except ConnectionResetError:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            connection.close()
        except OSError:  # the client is gone
            return
