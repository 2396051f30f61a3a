"""`directlane endpoints`: who serves, as discovery says now."""

from __future__ import annotations

import threading
import time
from dataclasses import asdict

import click
from rich.text import Text

from ..client import Client, Service
from ..discovery.who_asks import WhoAsked
from ..dispatch.route import Route
from ..fields import format_duration
from ..pool.pool import EndpointView
from .options import config_option, json_option
from .output import console, name_of, new_table, say_error, write_json

__all__ = ["endpoints"]

_NOBODY = 2
_STEP = 0.02
_STATES = {
    "ready": "green",
    "warming": "green",
    "mirror": "cyan",
    "draining": "yellow",
    "leaving": "yellow",
    "probing": "yellow",
    "ejected": "red",
    "failing": "red",
}

_HELP = """Ask discovery once and show every endpoint: its route, state, weight, zone, the age of the list, the last
error. All services, or the one that is named.

The exit status is 2 if a service that was asked for has no endpoint.

\b
Example:
  directlane endpoints -c directlane.toml scorecard
"""


@click.command(help=_HELP, short_help="Who serves, and how are they doing?")
@config_option
@click.argument("service", required=False)
@json_option
def endpoints(*, config_file: str, service: str | None, as_json: bool) -> int:
    with Client.from_file(config_file) as client:
        names = [service] if service is not None else list(client.config.services)
        # First all, then wait: they ask side by side.
        services = [client.service(name) for name in names]
        _wait(services)
        empty = [item for item in services if not item.endpoints()]
        message = "\n".join(_why(item) for item in empty)
        if as_json:
            write_json(({"error": message} if empty else {}) | {"services": [_facts(item) for item in services]})
        else:
            _show(services)
        if empty:
            say_error(message)
        return _NOBODY if empty else 0


def _wait(services: list[Service]) -> None:
    """Until every route had an answer and every service has an endpoint, or its `start_timeout` is over."""
    began_at = time.monotonic()
    never = threading.Event()
    for service in services:
        ends_at = began_at + service.plan.discovery.start_timeout
        while not _is_settled(service) and time.monotonic() < ends_at:
            never.wait(_STEP)


def _is_settled(service: Service) -> bool:
    if not all(share.belief.questions for route in service.routes for share in route.shares):
        return False
    return bool(service.endpoints()) or all(_is_final(route) for route in service.routes)


def _is_final(route: Route) -> bool:
    """Whether asking again brings nothing: a refused credential, or a list that was written by hand."""
    if route.upkeep is not None and not route.upkeep.is_ready:
        return route.is_hopeless
    return route.is_hopeless or route.belief.ask_again_in == float("inf")


def _problem(route: Route) -> str | None:
    if route.fault is not None:
        return str(route.fault)
    if route.upkeep is not None and route.upkeep.belief.error is not None:
        return f"upkeep: {route.upkeep.belief.error}"
    if route.belief.error is not None:
        return str(route.belief.error)
    if route.belief.endpoints:
        return None
    if not route.belief.questions:
        return "discovery has not answered yet"
    rejected = route.belief.snapshot.rejected if route.belief.snapshot is not None else ()
    return "discovery says that no instance is ready" + (f"; refused: {rejected[0]}" if rejected else "")


def _source(route: Route) -> str | None:
    """Where the list comes from, if it is not where it usually comes from."""
    source = None if route.belief.snapshot is None else route.belief.snapshot.attributes.get("source")
    return source if isinstance(source, str) else None


def _shared(route: Route, now: float) -> dict[str, object] | None:
    """Who asked for the list, if processes share it."""
    asked = route.asked
    if asked is None:
        return None
    return {
        "store": asked.store,
        "asked_by": asked.who or None,
        "is_this_process": asked.is_own,
        "asked_ago_s": max(0.0, now - asked.at),
        "asks_for_s": None if asked.since is None else max(0.0, now - asked.since),
    }


def _sharing(asked: WhoAsked, now: float, *, has_list: bool) -> str:
    """The same for people."""
    if asked.since is None:
        return f"this process asks for itself: the store {asked.store} does not answer"
    since = format_duration(max(1, round(asked.at - asked.since)))
    if asked.is_own:
        return f"this process asks, for all that share {asked.store}"
    ago = format_duration(max(1, round(now - asked.at)))
    came = f"the list came through {asked.store}" if has_list else f"heard through {asked.store}"
    return f"{came}: {asked.name} asked {ago} ago, and had been the one to ask for {since}"


def _warnings(route: Route) -> tuple[str, ...]:
    beliefs = [route.belief] if route.upkeep is None else [route.belief, route.upkeep.belief]
    return tuple(text for belief in beliefs if belief.snapshot is not None for text in belief.snapshot.warnings)


def _why(service: Service) -> str:
    reasons = [f"{route.name}: {_problem(route) or 'no endpoint'}" for route in service.routes]
    return (
        f"service {service.name!r} has no endpoint: {'; '.join(reasons)}\n"
        "Next: look at the settings of the route with `directlane check`, and whether this host reaches its "
        "control plane."
    )


def _facts(service: Service) -> dict[str, object]:
    queue = service.queue
    return {
        "name": service.name,
        "routes": [
            {
                "name": route.name,
                "provider": route.provider.kind,
                "tier": route.tier,
                "weight": route.weight,
                "list_age_s": route.list_age(),
                "discovery_questions": route.belief.questions,
                "discovery_failures": route.belief.failures,
                "list_source": _source(route),
                "shared": _shared(route, time.monotonic()),
                "warnings": _warnings(route),
                "last_error": _problem(route),
            }
            for route in service.routes
        ],
        "tiers": [
            {"tier": tier.tier, "load_percent": tier.load, "healthy": tier.healthy, "size": tier.size}
            for tier in service.tiers()
        ],
        "queue": None if queue is None else asdict(queue),
        "endpoints": [_endpoint_facts(view) for view in service.endpoints()],
    }


def _endpoint_facts(view: EndpointView) -> dict[str, object]:
    return {
        "id": view.endpoint.id,
        "url": view.endpoint.url,
        "server_name": view.endpoint.server_name,
        "route": view.route,
        "tier": view.tier,
        "state": view.state,
        "reason": view.reason,
        "returns_in_s": view.returns_in,
        "weight": view.weight,
        "listed_weight": view.endpoint.weight,
        "zone": view.endpoint.zone,
        "labels": dict(view.endpoint.labels),
        "list_age_s": view.list_age,
        "open_calls": view.open_calls,
        "slots": view.slots,
        "attempts": view.attempts,
        "errors": view.errors,
        "last_error": view.last_error,
    }


def _state(view: EndpointView) -> str:
    if view.state == "ejected" and view.returns_in is not None:
        return f"ejected, {format_duration(view.returns_in)} left"
    return view.state


def _show(services: list[Service]) -> None:
    out = console()
    for place, service in enumerate(services):
        if place:
            out.print()
        views = service.endpoints()
        kinds = ", ".join(dict.fromkeys(route.provider.facts.title for route in service.routes))
        out.print(Text.assemble((service.name, "bold cyan"), "  ", (kinds, "dim")))
        if views:
            has_slots = any(view.slots is not None for view in views)
            slots = [">slots"] if has_slots else []
            table = new_table(
                "endpoint", "route", ">tier", "state", ">weight", *slots, "zone", ">list age", "last error"
            )
            for view in views:
                state = Text(_state(view), style=_STATES.get(view.state, ""))
                age = "-" if view.list_age is None else format_duration(view.list_age)
                zone, error = view.endpoint.zone or "-", view.reason or view.last_error or "-"
                name, weight = name_of(view.endpoint), f"{view.weight:g}"
                slots = [f"{view.open_calls}/{view.slots}"] if has_slots else []
                table.add_row(name, view.route, str(view.tier), state, weight, *slots, zone, age, error)
            out.print(table)
        queue = service.queue
        if queue is not None:
            out.print(f"slots: {queue.used} in use; queue: {queue.waiting} of {queue.queue} places taken")
        tiers = service.tiers()
        if len(tiers) > 1:
            for tier in tiers:
                out.print(
                    f"tier {tier.tier}: {tier.load}% of the calls, {tier.healthy} of {tier.size} endpoints are well"
                )
        for route in service.routes:
            source, problem = _source(route), _problem(route)
            if source is not None:
                out.print(Text.assemble(("! ", "bold yellow"), f"{route.name}: the list comes from the {source}"))
            if route.asked is not None:
                sharing = _sharing(route.asked, time.monotonic(), has_list=bool(route.belief.endpoints))
                out.print(Text.assemble(("· ", "bold cyan"), f"{route.name}: {sharing}"), soft_wrap=True)
            for warning in _warnings(route):
                out.print(Text.assemble(("! ", "bold yellow"), f"{route.name}: {warning}"), soft_wrap=True)
            if problem is not None:
                out.print(Text.assemble(("✗ ", "bold red"), f"{route.name}: {problem}"), soft_wrap=True)
