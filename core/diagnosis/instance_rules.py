"""What an instance's answer means, or its silence. Pure: outcomes in, findings out."""

from __future__ import annotations

from collections.abc import Sequence

from ..endpoint import Endpoint
from ..fields import format_duration
from ..interfaces.finding import Finding, Level
from ..outcome import Action, Verdict
from .control_plane_rules import headline_of
from .failures import Failure

__all__ = ["broke_off", "instance_answered", "is_open", "no_connection", "not_all"]

_SHUT = {
    Failure.REFUSED: (
        "the machine is there, and nobody listens: the instance is starting or has gone, or the port is wrong",
        "look whether the instance runs; if it does, check the port",
    ),
    Failure.TIMEOUT: (
        (
            "packets are dropped: by a security group of the instance or of this host, an ACL of the subnet (vSwitch), "
            "or because the two networks are not connected (VPC peering, interconnection of the resource pool)"
        ),
        (
            "allow this host to reach the port, in the security groups and ACLs of both sides; check that the networks "
            "are connected"
        ),
    ),
    Failure.UNREACHABLE: (
        "this host has no way to the network of the instance",
        "check the routes of this host, and whether its network is connected with the instance's",
    ),
    Failure.RESET: (
        "something on the way ends the connection: a firewall, or a proxy without a backend",
        "look whether the instance runs, and at the rules of firewalls on the way",
    ),
    Failure.NAME: (
        "the name is wrong, or this host's name server does not know it",
        "check the address in the route's settings",
    ),
}
_MOST_NAMES = 4
_BROKEN: dict[Failure, tuple[Level, str, str, str]] = {
    Failure.TIMEOUT: (
        Level.WARNING,
        "takes the connection and does not answer GET in time",
        "the instance is busy, still loads its model, or speaks another protocol than HTTP",
        "look at its log and its load; for TCP and gRPC services there is nothing to do",
    ),
    Failure.RESET: (
        Level.NOTE,
        "takes the connection and closes it without an answer",
        "it speaks another protocol than HTTP (TCP, gRPC, TLS), or its program breaks down",
        "for TCP and gRPC services there is nothing to do; otherwise look at its log",
    ),
    Failure.NOT_HTTP: (
        Level.NOTE,
        "takes the connection and answers something that is not HTTP/1.1",
        "it speaks another protocol: TCP, gRPC (HTTP/2 only), or TLS",
        "for TCP and gRPC services there is nothing to do; otherwise check the port and the scheme",
    ),
    Failure.CERTIFICATE: (
        Level.PROBLEM,
        "shows a certificate that is not accepted",
        "the certificate, or one between it and its authority, does not keep the rules",
        "look at it with `openssl s_client -showcerts -connect HOST:PORT` from this machine",
    ),
    Failure.CERTIFICATE_NAME: (
        Level.PROBLEM,
        "shows a certificate for another name",
        "calls go to an address, and the certificate is for a host name; or the name in the settings is another one",
        "set `server_name` of the route to a name that the certificate has, or call the instance by that name",
    ),
    Failure.CERTIFICATE_EXPIRED: (
        Level.PROBLEM,
        "shows a certificate that has expired, or is not valid yet",
        "nobody has renewed it, the instance has not read the new one, or the clock of this host is wrong",
        "renew the certificate and have the instance read it; look at the clocks of both sides",
    ),
    Failure.CERTIFICATE_AUTHORITY: (
        Level.PROBLEM,
        "shows a certificate of an authority that is not known here",
        "the authority is one of your own, the certificate signs itself, or the instance does not send those between",
        'name the file of the authority: `transport = { kind = "auto", ca_file = "ca.pem" }`',
    ),
    Failure.CLIENT_CERTIFICATE: (
        Level.PROBLEM,
        "refuses this client's certificate, or wants one",
        "the instance asks for a certificate (mutual TLS), and got none, or one of an authority that it does not know",
        (
            "name one that it knows: "
            '`transport = { kind = "auto", certificate_file = "client.pem", key_file = "client.key" }`'
        ),
    ),
    Failure.TLS: (
        Level.PROBLEM,
        "does not speak TLS",
        "https is spoken to a port of plain http",
        "write http:// instead of https:// in the route's settings, or turn `https` off",
    ),
}


def no_connection(endpoint: Endpoint, failure: Failure, told: str, seconds: float) -> Finding:
    """No TCP connection to an instance."""
    cause, step = _SHUT.get(failure, ("", "try the address with `nc -vz` from this machine"))
    found = f"no answer within {format_duration(round(seconds, 1))}" if failure is Failure.TIMEOUT else told
    if failure is Failure.REFUSED:
        found = "Connection refused"  # asyncio's own words name the call, not the reason
    return Finding(
        Level.PROBLEM, "instance", f"tcp-{failure.value}", endpoint.authority, found, cause, step, seconds=seconds
    )


def is_open(endpoint: Endpoint, seconds: float) -> Finding:
    """A connection stands, and HTTP is not spoken here."""
    return Finding(
        Level.OK, "instance", "tcp-open", endpoint.authority, f"takes connections ({endpoint.scheme})", seconds=seconds
    )


def broke_off(
    endpoint: Endpoint,
    failure: Failure,
    told: str,
    seconds: float,
    names: Sequence[str] = (),
    *,
    can_be_named: bool = False,
) -> Finding:
    """A connection stood, and no answer to GET came.

    Args:
        endpoint: The instance.
        failure: Why not.
        told: The error's own words.
        seconds: How long it took.
        names: What its certificate is for, if that is known.
        can_be_named: Whether the route has the setting `server_name`.
    """
    level, found, cause, step = _BROKEN.get(
        failure, (Level.WARNING, headline_of(told), "", "try the address with curl from this machine")
    )
    if failure is Failure.CERTIFICATE_NAME:
        shown = ", ".join(names[:_MOST_NAMES]) + (", ..." if len(names) > _MOST_NAMES else "")
        found = f"shows a certificate for {shown or 'another name'}, and not for {endpoint.tls_name}"
        plain = [name for name in names if "*" not in name]
        if not can_be_named:
            step = "check the address in the route's settings, or have the instance show another certificate"
        elif plain:
            step = f'set `server_name = "{plain[0]}"` in the route, if that is who should answer'
    return Finding(level, "instance", f"http-{failure.value}", endpoint.authority, found, cause, step, seconds=seconds)


def instance_answered(endpoint: Endpoint, status: int, verdict: Verdict, target: str, seconds: float) -> Finding:
    """An instance answered GET.

    Args:
        endpoint: The instance.
        status: Of its answer.
        verdict: What the provider makes of it.
        target: The path that was asked.
        seconds: How long it took.
    """
    found = f"answered {status} to GET {target}"
    if status in (401, 403) or verdict.action is Action.REAUTHENTICATE:
        return Finding(
            Level.PROBLEM,
            "instance",
            "http-unauthorized",
            endpoint.authority,
            found,
            "the token of the route is missing or wrong, has expired, or is sent in a form that the service refuses",
            "compare the token with the one that the cloud's console shows for this service",
            seconds=seconds,
        )
    if verdict.action is Action.BACK_OFF:
        level, code, cause = Level.NOTE, "http-busy", "the instance has too much to do at this moment"
    elif status >= 500:
        level, code, cause = Level.WARNING, "http-error", "the program in the instance fails, or is not ready yet"
    else:
        return Finding(Level.OK, "instance", "http-answered", endpoint.authority, found, seconds=seconds)
    return Finding(
        level,
        "instance",
        code,
        endpoint.authority,
        found,
        cause,
        "look at the log and the load of the instance",
        seconds=seconds,
    )


def not_all(looked_at: int, count: int) -> Finding:
    """There are more instances than are looked at."""
    return Finding(Level.NOTE, "instance", "instances-not-all", "", f"{looked_at} of {count} instances were looked at")
