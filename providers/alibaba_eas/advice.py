"""What people of PAI-EAS should know about a finding of `directlane doctor`."""

from __future__ import annotations

from ...core.interfaces import Finding

__all__ = ["advice"]

_INSIDE = (
    "discovery and instances of PAI-EAS answer only inside the VPC that the service is connected to. From elsewhere, "
    'take access = "vpc_gateway" or "public_gateway"'
)
_NETWORK = (
    "the service's own settings (VPC, vSwitch, security group) say where its instances stand: the security group must "
    "let this host in, and this host must stand in that VPC or in one that is connected with it"
)
_UNAUTHORIZED = (
    "the token stands in the PAI console, in the invocation information of the service. It is sent as `auth` says: "
    "plain is `Authorization: TOKEN`"
)
_NAME = (
    "`service` is the name of the service, or group.service for one in a group; VPC direct connection must be switched "
    "on for it, and the region must be its own"
)

_DIRECT = {
    "name-missing": _INSIDE,
    "control-plane-timeout": _INSIDE,
    "control-plane-unreachable": _INSIDE,
    "tcp-timeout": _NETWORK,
    "tcp-unreachable": _NETWORK,
    "list-refused": _NAME,
    "list-empty": _NAME,
    "list-unreadable": _NAME,
}
_ALWAYS = {
    "http-unauthorized": _UNAUTHORIZED,
    "http-busy": "450 says that the queue of the instance is full (`rpc.max_queue_size`): more instances help",
    "clock-wrong": 'requests with auth = "signed" carry the time of this host',
}


def advice(finding: Finding, *, is_direct: bool) -> str | None:
    """What to add to a finding; None if nothing is.

    Args:
        finding: What was found.
        is_direct: Whether instances are called, and not a gateway.
    """
    found = _DIRECT.get(finding.code) if is_direct else None
    if finding.code == "http-busy" and " 450 " not in finding.found:
        return None
    return found or _ALWAYS.get(finding.code)
