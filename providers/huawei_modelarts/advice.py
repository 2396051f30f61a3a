"""What people of ModelArts should know about a finding of `directlane doctor`."""

from __future__ import annotations

from ...core.interfaces import Finding

__all__ = ["advice"]

_NETWORK = (
    "instances stand in the network of the dedicated resource pool: it must be interconnected with the VPC of this "
    "host (ModelArts console, network of the pool), and the security group of this host must let it out"
)
_KIND = (
    "the VPC high-speed channel exists for real-time services of version 1 that run in a dedicated resource pool, from "
    'a custom image; call others with access = "gateway"'
)
_LIMIT = (
    "Huawei allows 20 questions for this list in a minute to each IAM user, and 2000 to the account, over all "
    "processes and hosts"
)

_DIRECT = {
    "tcp-timeout": _NETWORK,
    "tcp-unreachable": _NETWORK,
    "tcp-refused": "an address of the list is likely a node of the pool with a port of its own: it changes when the "
    "instance moves to another node",
    "list-empty": _KIND,
    "list-refused": _KIND,
    "list-throttled": _LIMIT,
    "budget-scarce": _LIMIT,
    "budget-spent": _LIMIT,
    "http-unauthorized": "instances of the direct channel see no credential of the platform: this answer is your "
    "model's own. What it wants goes into `headers`",
}
_GATEWAY = {
    "http-unauthorized": "the platform refuses the token or the signature: it needs the scope of the service's "
    "project, in its region",
    "http-busy": "429 with ModelArts.4206: the service gets more traffic than its instances take",
}
_ALWAYS = {
    "name-missing": "names are modelarts.REGION.myhuaweicloud.com and iam.REGION.myhuaweicloud.com; clouds of partners "
    "have others, which `endpoint` names",
    "clock-wrong": "Huawei refuses signatures by access key that are off by more than 15 minutes (APIG.0301, "
    "APIG.0303)",
    "credential-refused": "a HUAWEI ID cannot get a token: it takes an IAM user with programmatic access, the name of "
    "the account as domain, and a role that may see the service. Wrong passwords lock the account",
    "control-plane-timeout": "the API of ModelArts usually has public addresses: this host needs a way out (NAT or "
    "EIP), or a VPC endpoint",
}


def advice(finding: Finding, *, is_direct: bool) -> str | None:
    """What to add to a finding; None if nothing is.

    Args:
        finding: What was found.
        is_direct: Whether instances are called, and not the gateway.
    """
    return (_DIRECT if is_direct else _GATEWAY).get(finding.code) or _ALWAYS.get(finding.code)
