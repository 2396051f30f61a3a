"""Instances on loopback, and a name server that names them with SRV records.

All instances have the address 127.0.0.1 and ports of their own; so the records must tell the ports. Addresses without
ports (A records) are for tests that have instances on several addresses: see `NameServer`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import dns.flags
import dns.message
import dns.rcode

from ...core.emulation.plain_servers import EMULATED_TOKEN, PlainServersEmulator
from ...core.interfaces import ControlFault
from .name_server import SILENCE, NameServer, empty_answer

__all__ = ["DnsEmulator"]

_ZONE = "models.test."
_USUAL_WEIGHT = 10


class DnsEmulator(PlainServersEmulator):
    """Instances, and the name server that knows them.

    An instance that is added without a weight has the weight 10. A weight of 0 means a very small share, as in all SRV
    records.
    """

    kind: ClassVar[str] = "dns"

    def __init__(self, instances: int = 3, *, token: str | None = EMULATED_TOKEN, processes: bool = False) -> None:
        super().__init__(instances, token=token, processes=processes)
        self.name = f"_http._tcp.{_ZONE}"
        """The name that has the SRV records."""
        self.server: NameServer = NameServer()
        """The name server. Its records follow the instances; how it answers may be changed at any time."""

    def start(self) -> None:
        """Start the instances and the name server."""
        try:
            super().start()
            self.server.start()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop everything."""
        self.server.stop()
        super().stop()

    def break_control_plane(self, fault: ControlFault) -> None:
        """Let the name server fail.

        500: SERVFAIL. 404: NXDOMAIN. empty: the name has no such record. html, half json: bytes that are no message.
        wrong types: the answer to another question. hang: nothing. reset: a truncated answer, and a connection that is
        reset when the rest is asked for.
        """
        self.server.misbehave = None if fault is ControlFault.NONE else lambda query, tcp: _broken(fault, query, tcp)

    def route(self) -> Mapping[str, object]:
        """Settings with the name and its server."""
        return self.route_with(
            domain=self.name, record="srv", nameservers=[self.server.address], timeout="500ms", ttl_min="200ms"
        )

    def publish(self) -> None:
        """The records of the listed instances. The addresses of those who were removed stay: nobody asks for them."""
        services: list[str] = []
        for instance in self.instances:
            target = f"{instance.name}.{_ZONE}"
            self.server.records[target, "A"] = [instance.host]
            weight = self.weight_of(instance)
            services.append(f"0 {_USUAL_WEIGHT if weight is None else weight} {instance.port} {target}")
        self.server.records[self.name, "SRV"] = services


def _broken(fault: ControlFault, query: dns.message.Message, over_tcp: bool) -> bytes | None:  # noqa: FBT001  # `Misbehave`
    match fault:
        case ControlFault.ERROR_500:
            return empty_answer(query, dns.rcode.SERVFAIL).to_wire()
        case ControlFault.NOT_FOUND:
            return empty_answer(query, dns.rcode.NXDOMAIN).to_wire()
        case ControlFault.EMPTY:
            return empty_answer(query, dns.rcode.NOERROR).to_wire()
        case ControlFault.HTML:
            return b"<html><body>Welcome</body></html>"
        case ControlFault.HALF_JSON:
            whole = empty_answer(query, dns.rcode.NOERROR).to_wire()
            return whole[: len(whole) // 2]
        case ControlFault.WRONG_TYPES:
            other = dns.message.make_query("other.test.", "SRV", id=query.id)
            return empty_answer(other, dns.rcode.NOERROR).to_wire()
        case ControlFault.HANG:
            return SILENCE
        case ControlFault.RESET:
            if over_tcp:
                raise ConnectionResetError
            cut = dns.message.make_response(query)
            cut.flags |= dns.flags.TC
            return cut.to_wire()
        case ControlFault.NONE:
            return None
