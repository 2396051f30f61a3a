"""Asks a name server. The only module of this folder that does I/O; each function runs in a thread of its own."""

from __future__ import annotations

import errno
import ipaddress
import json
import time
from collections.abc import Sequence
from typing import NamedTuple

import dns.exception
import dns.query
import dns.resolver

from ...core.endpoint import authority
from ...core.errors import DiscoveryError, DiscoveryUnreadable
from ...core.message import Reply
from .messages import Question, framed, make_query

__all__ = ["Server", "SystemSettings", "ask", "read_system_settings", "system_settings"]

_PORT = 53


class Server(NamedTuple):
    """A name server: an IP address, without brackets, and a port."""

    host: str
    port: int = _PORT

    @classmethod
    def from_text(cls, text: str) -> Server:
        """What people write: `10.0.0.2`, `10.0.0.2:5353`, `fd00::1`, `[fd00::1]:53`.

        Raises:
            ValueError: It is none of them.
        """
        host, colon, digits = text.rpartition(":")
        if text.endswith("]") or (":" in host and not host.startswith("[")):
            host, colon, digits = text, "", ""  # IPv6 without a port
        elif not colon:
            host = text
        bare = host.removeprefix("[").removesuffix("]")
        try:
            address = ipaddress.ip_address(bare)
        except ValueError:
            raise ValueError(
                f"{text[:60]!r} is not a name server: write its IP address, such as '10.0.0.2' or '10.0.0.2:5353'"
            ) from None
        if colon and not (digits.isascii() and digits.isdigit() and len(digits) <= 5 and 1 <= int(digits) <= 65535):
            raise ValueError(f"{text[:60]!r} has no port from 1 to 65535 behind its colon")
        return cls(str(address), int(digits) if colon else _PORT)

    def __str__(self) -> str:
        return authority(self.host, self.port)


class SystemSettings(NamedTuple):
    """What this machine says about names.

    Args:
        servers: Its name servers.
        search: Its search path, each with the dot at its end.
        dots: A name with so many dots is tried as it is first.
    """

    servers: tuple[Server, ...]
    search: tuple[str, ...]
    dots: int


def ask(server: Server, questions: Sequence[Question], *, is_tcp: bool, timeout: float) -> Reply:
    """The answers to all questions, framed, in their order.

    Args:
        server: Whom to ask.
        questions: What to ask, one after the other.
        is_tcp: Whether over TCP. Default is UDP, where an answer that does not fit is truncated.
        timeout: Seconds for all of them.

    Raises:
        OSError: It cannot be asked, or breaks off.
        TimeoutError: It does not answer all of them in time. What is not an answer to what was asked does not count,
            over UDP: anybody may have sent it.
        DiscoveryUnreadable: Over TCP, it sends what is not an answer.
    """
    ends_at = time.monotonic() + timeout
    answers = [_ask_one(server, question, ends_at - time.monotonic(), is_tcp=is_tcp) for question in questions]
    # Raised here, where no other error is handled: under that one, the system's word for "not yet" would be found.
    if None in answers:
        raise TimeoutError(errno.ETIMEDOUT, f"no answer within {timeout:g} s")
    return Reply(200, content=framed(answer for answer in answers if answer is not None))


def _ask_one(server: Server, question: Question, seconds: float, *, is_tcp: bool) -> bytes | None:
    """The answer; None if there was none in time."""
    if seconds <= 0:
        return None
    query = make_query(question)
    try:
        if is_tcp:
            return dns.query.tcp(query, server.host, timeout=seconds, port=server.port).to_wire()
        return dns.query.udp(
            query, server.host, timeout=seconds, port=server.port, ignore_unexpected=True, ignore_errors=True
        ).to_wire()
    except (dns.exception.Timeout, TimeoutError):
        return None
    except EOFError:
        raise ConnectionResetError(errno.ECONNRESET, "it closed the connection before its answer was whole") from None
    except (dns.exception.DNSException, ValueError) as error:
        raise DiscoveryUnreadable(f"the name server {server} sent no answer: {type(error).__name__}") from None


def system_settings() -> Reply:
    """What this machine says about names, as JSON.

    Raises:
        DiscoveryError: It says nothing.
    """
    try:
        resolver = dns.resolver.Resolver()
    except dns.exception.DNSException:
        raise DiscoveryError(
            "this machine names no name server. Next: set `nameservers`, or see /etc/resolv.conf"
        ) from None
    servers = [server for server in resolver.nameservers if isinstance(server, str)]
    search = [name.to_text() for name in resolver.search]
    data = {"servers": servers, "search": search, "dots": 1 if resolver.ndots is None else resolver.ndots}
    return Reply(200, content=json.dumps(data).encode())


def read_system_settings(reply: Reply) -> SystemSettings:
    """The settings from the reply of `system_settings`. What is not an IP address (a URL, say) is left out.

    Raises:
        DiscoveryUnreadable: There is no server in it that can be asked.
    """
    data = reply.json()
    servers: list[Server] = []
    for text in data["servers"]:
        try:
            servers.append(Server(str(ipaddress.ip_address(text))))
        except ValueError:
            continue
    if not servers:
        raise DiscoveryUnreadable("no name server of this machine has a plain IP address. Next: set `nameservers`")
    return SystemSettings(tuple(servers), tuple(data["search"]), int(data["dots"]))
