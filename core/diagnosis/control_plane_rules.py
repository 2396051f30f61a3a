"""What the answers of a control plane mean: names, refusals, lists, clocks, rate budgets. Pure: outcomes in, findings
out.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..discovery.belief import Belief
from ..endpoint import Snapshot
from ..errors import (
    CredentialError,
    DiscoveryError,
    DiscoveryRefused,
    DiscoveryThrottled,
    DiscoveryUnreadable,
    TransportError,
    headline,
)
from ..fields import format_duration
from ..interfaces.discovery import RateBudget
from ..interfaces.finding import Finding, Level
from .failures import Failure

__all__ = [
    "CLOCK_PROBLEM",
    "CLOCK_WARNING",
    "answered",
    "budget_kept",
    "budget_spent",
    "clock",
    "discovery_failed",
    "listed",
    "name_found",
    "name_missing",
    "silent",
]

CLOCK_WARNING = 60.0
CLOCK_PROBLEM = 15 * 60.0
"""Seconds by which our clock may be off: signatures by a key are refused from 15 minutes on."""

_SCARCE = 20
"""A budget that lasts for fewer processes than this is worth a word."""

_TOLD = {
    Failure.NAME: "its host name has no address",
    Failure.REFUSED: "the connection is refused",
    Failure.UNREACHABLE: "there is no way to it from here",
    Failure.RESET: "the connection ended without an answer",
    Failure.CERTIFICATE: "its certificate is not accepted",
    Failure.CERTIFICATE_NAME: "its certificate is for another name",
    Failure.CERTIFICATE_EXPIRED: "its certificate has expired, or is not valid yet",
    Failure.CERTIFICATE_AUTHORITY: "its certificate comes from an authority that is not known here",
    Failure.CLIENT_CERTIFICATE: "it asks for a certificate of this host",
    Failure.TLS: "TLS cannot be spoken",
    Failure.NOT_HTTP: "what it answers is not HTTP",
}

_UNREACHED = {
    Failure.REFUSED: (
        "the host is there, and nobody listens at this port",
        "check the host and the port in the route's settings",
    ),
    Failure.TIMEOUT: (
        (
            "packets are dropped on the way: this host stands outside the network (VPC) from which the control plane "
            "can be reached, or a security group or an ACL drops them"
        ),
        "run this from a machine inside that network; check its outbound rules and, for https, that it may go out",
    ),
    Failure.UNREACHABLE: (
        "this host has no way to that network",
        "check the routes of this host, and whether its network is connected with the control plane's",
    ),
    Failure.RESET: (
        "something on the way ends the connection: a firewall, a proxy, or http spoken to a https port",
        "check the scheme and the port in the route's settings, and the rules of firewalls on the way",
    ),
    Failure.CERTIFICATE: (
        "the certificate does not keep the rules, or a proxy opens TLS on the way",
        "check the host in the route's settings, and look at the certificate",
    ),
    Failure.CERTIFICATE_NAME: (
        "the host in the settings is not the one that the certificate is for, or a proxy opens TLS on the way",
        "check the host in the route's settings",
    ),
    Failure.CERTIFICATE_EXPIRED: (
        "nobody has renewed it, or the clock of this host is wrong",
        "look at the clock of this host; if it is right, tell those who run the control plane",
    ),
    Failure.CERTIFICATE_AUTHORITY: (
        "a proxy opens TLS on the way, or the control plane has an authority of its own",
        "check the host in the route's settings, and which certificate is shown to this machine",
    ),
    Failure.CLIENT_CERTIFICATE: (
        "what listens there is not the control plane, or a proxy in front of it wants to know who asks",
        "check the host and the port in the route's settings",
    ),
    Failure.TLS: (
        "the peer does not speak TLS: https is spoken to a port of plain http",
        "check the scheme and the port in the route's settings",
    ),
    Failure.NOT_HTTP: (
        "what listens there is not the control plane",
        "check the host, the scheme and the port in the route's settings",
    ),
}


def name_found(host: str, addresses: Sequence[str], seconds: float) -> Finding:
    """A host name has addresses."""
    shown = ", ".join(addresses[:4]) + (f" and {len(addresses) - 4} more" if len(addresses) > 4 else "")
    return Finding(Level.OK, "name", "name-found", host, f"has the address {shown}", seconds=seconds)


def name_missing(host: str, reason: str, seconds: float) -> Finding:
    """A host name has no address here."""
    is_private = ".vpc." in host or "-vpc." in host
    cause = "the name is wrong (look at the region in it), or this host's name server does not know it"
    if is_private:
        cause = (
            "a name of this kind exists only inside its network (VPC): this host stands outside, asks another name "
            "server, or the region in the name is wrong"
        )
    return Finding(
        Level.PROBLEM,
        "name",
        "name-missing",
        host,
        f"has no address: {reason}",
        cause,
        "check the region and the host in the route's settings; ask `getent hosts` for the name on this machine and on "
        "one inside the network",
        seconds=seconds,
    )


def answered(question: str, status: int, seconds: float) -> Finding:
    """A control plane answered; whether the answer is of use is said elsewhere."""
    level = Level.OK if status < 400 else Level.NOTE
    return Finding(level, "control plane", "control-plane-answered", question, f"answered {status}", seconds=seconds)


def silent(question: str, failure: Failure, told: str, seconds: float) -> Finding:
    """A control plane could not be asked. A warning: the provider may ask another one.

    Args:
        question: What was asked.
        failure: Why not.
        told: The error's own words.
        seconds: How long it took.
    """
    other = (
        "look at the error, and try the URL with curl from this machine" if "://" in question else "look at the error"
    )
    cause, step = _UNREACHED.get(failure, ("", other))
    return Finding(
        Level.WARNING,
        "control plane",
        f"control-plane-{failure.value}",
        question,
        f"no answer within {format_duration(round(seconds, 1))}"
        if failure is Failure.TIMEOUT
        else _TOLD.get(failure, headline_of(told)),
        cause,
        step,
        seconds=seconds,
    )


def discovery_failed(what: str, error: DiscoveryError) -> Finding:
    """A conversation had no usable answer. The text is the provider's own.

    Args:
        what: `list` or `credential`: what the conversation was to bring.
        error: What came of it.
    """
    step = next_of(str(error))
    if isinstance(error.__cause__, TransportError):
        return Finding(Level.PROBLEM, what, f"{what}-not-asked", "", "none: nobody could be asked for it, see above")
    if isinstance(error, CredentialError):
        what = "credential"
        code, cause = "refused", "the credential is wrong, has expired, or lacks the rights"
        step = step or "check the credential of the route, and what its variable or file holds"
    elif isinstance(error, DiscoveryThrottled):
        code, cause = "throttled", "more processes ask with this user than its rate limit allows"
        step = step or "let them share with `store`, or give `discovery.interval` a longer time"
    elif isinstance(error, DiscoveryRefused):
        code = "refused"
        if error.status in (401, 403):
            cause = "the credential lacks the right to ask, or is of another project or region"
        elif error.status == 404:
            cause = "the service is not there under this name, in this region and project, or does not run"
        else:
            cause = "the control plane has trouble of its own, or does not know such a question"
        step = step or "check the service, the region and the credential in the route's settings"
    elif isinstance(error, DiscoveryUnreadable):
        code, cause = "unreadable", "something else than the control plane answered, or it speaks a newer language"
        step = step or "look at the service in the cloud's console: does it run, and has it instances?"
    else:
        code, cause = "failed", ""
        step = step or "see the lines above: they say which question failed, and why"
    return Finding(Level.PROBLEM, what, f"{what}-{code}", "", headline(error), cause, step)


def listed(answer: Snapshot, belief: Belief) -> list[Finding]:
    """The list, as discovery would believe it.

    Args:
        answer: What the control plane said.
        belief: What this answer makes of an empty belief.
    """
    is_empty = not (answer.endpoints or answer.rejected)
    if belief.error is not None and not is_empty:
        return [discovery_failed("list", belief.error)]
    endpoints = belief.endpoints
    rejected = belief.snapshot.rejected if belief.snapshot is not None else ()
    findings: list[Finding] = []
    if endpoints:
        draining = sum(endpoint.is_draining for endpoint in endpoints)
        text = f"{len(endpoints)} endpoint{'s' * (len(endpoints) != 1)}"
        text += f", {draining} with weight 0" if draining else ""
        findings.append(Finding(Level.OK, "list", "list-found", "", text))
        if draining == len(endpoints):
            findings.append(
                Finding(
                    Level.PROBLEM,
                    "list",
                    "list-drained",
                    "",
                    "every endpoint has weight 0, so that none gets a call",
                    "the service is being taken out of traffic",
                    "give its instances a weight in the cloud's console",
                )
            )
    else:
        findings.append(
            Finding(
                Level.PROBLEM,
                "list",
                "list-empty",
                "",
                "the control plane says that no instance is ready",
                "the service starts, is stopped, or all of its instances are broken",
                "look at the service in the cloud's console",
            )
        )
    if rejected:
        more = f" (and {len(rejected) - 1} more)" if len(rejected) > 1 else ""
        findings.append(
            Finding(
                Level.WARNING,
                "list",
                "list-rejected",
                "",
                f"left out: {rejected[0]}{more}",
                "an address is no IP address, or stands outside the networks that are allowed",
                "if the address is right, add its network to `discovery.allow_networks`",
            )
        )
    findings += [Finding(Level.WARNING, "list", "list-warning", "", warning) for warning in answer.warnings]
    return findings


def clock(skew: float, host: str) -> Finding:
    """Our clock beside the control plane's.

    Args:
        skew: Seconds by which ours is ahead.
        host: Whose clock it is.
    """
    if abs(skew) <= CLOCK_WARNING:
        return Finding(Level.OK, "clock", "clock-right", host, "agrees with the clock of this host")
    is_bad = abs(skew) > CLOCK_PROBLEM
    breaks = (
        "signed requests are refused from 15 minutes on, and tokens seem to end too late or too soon"
        if is_bad
        else "at 15 minutes signed requests are refused; tokens seem to end too late or too soon"
    )
    return Finding(
        Level.PROBLEM if is_bad else Level.WARNING,
        "clock",
        "clock-wrong",
        host,
        f"the clock of this host is {format_duration(abs(round(skew)))} {'ahead' if skew > 0 else 'behind'}",
        f"nobody sets the clock of this host; {breaks}",
        "switch on time synchronisation (chrony or systemd-timesyncd), and look at it with `timedatectl`",
    )


def budget_kept(
    budget: RateBudget,
    questions: int,
    interval: float,
    *,
    is_shared: bool,
    processes: int | None,
    spent: int | None = None,
) -> Finding:
    """For how many processes a rate limit lasts.

    Args:
        budget: The limit.
        questions: How many queries one conversation spent from it.
        interval: Seconds between two conversations.
        is_shared: Whether there is a store.
        processes: How many processes share it now, without us; None if that is not known.
        spent: How many queries count in its window now, as the store says; None if it does not.
    """
    per_window = max(1.0, budget.window / interval) * questions
    enough = int(budget.limit / per_window)
    found = (
        f"{budget.limit} queries in {format_duration(budget.window)}; one process that asks every "
        f"{format_duration(interval)} spends {per_window:g}"
    )
    if is_shared:
        words = "1 other process shares it" if processes == 1 else f"{processes} other processes share it"
        among = f"; {words}" if processes is not None else ""
        used = f"; {spent} of {budget.limit} are used now" if spent is not None else ""
        return Finding(Level.OK, "budget", "budget-shared", budget.name, found + among + used)
    if enough >= _SCARCE:
        return Finding(Level.OK, "budget", "budget-ample", budget.name, f"{found}: enough for {enough} processes")
    lasts = f"enough for {enough} process{'es' * (enough != 1)}" if enough else "not enough for one process"
    return Finding(
        Level.NOTE if enough else Level.WARNING,
        "budget",
        "budget-scarce",
        budget.name,
        f"{found}: {lasts}",
        "the limit is for all processes of this user together",
        "with several processes, set `store`, so that one of them asks for all",
    )


def budget_spent(budgets: Sequence[RateBudget], wait: float) -> Finding:
    """The question was not asked: others have spent the budget."""
    names = ", ".join(budget.name for budget in budgets)
    return Finding(
        Level.WARNING,
        "budget",
        "budget-spent",
        names,
        f"spent by others; the next query may go in {format_duration(max(1.0, round(wait)))}, so nothing was asked",
        "many processes ask with this user, or the store lost its memory a moment ago",
        "try again after that time",
    )


def next_of(text: str) -> str:
    """The next step that an error names; empty if it names none."""
    return " ".join(text.partition("Next:")[2].split()).rstrip(".")


def headline_of(text: str) -> str:
    """What a text says, without its next step."""
    return re.sub(r"\s+", " ", text.partition("Next:")[0]).strip().rstrip(".")
