"""Looks at everything that must work before a call can: configuration, store, control planes, instances.

One question goes to each control plane, one connection and one GET to each instance. Nothing here judges: the rules do.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field, replace

import httpx

from ..clock import SYSTEM_CLOCK, Clock
from ..config.model import Config, RoutePlan, ServicePlan
from ..discovery.asking import Asker
from ..discovery.belief import Belief, after_answer
from ..discovery.conversation import plugin_failure
from ..discovery.local import LocalRunner
from ..discovery.subscription import fixed_belief
from ..dispatch.asked import discovery_of, upkeep_of
from ..endpoint import Endpoint, Snapshot
from ..errors import ConfigError, DiscoveryError, Phase, PluginError, TransportError
from ..interfaces.discovery import Discovery
from ..interfaces.finding import Finding, Level
from ..interfaces.transport import Timeouts
from ..os_reason import os_reason
from ..outcome import OK, Outcome
from ..transports.tls import TlsTransport
from .control_plane_rules import budget_kept, clock, discovery_failed, listed
from .failures import Failure, failure_of
from .instance_rules import broke_off, instance_answered, is_open, no_connection, not_all
from .look_control_plane import CarefulKeeper, Heard, ask
from .look_network import certificate_names, end_of_handshake, get, knock
from .look_sharing import look_at_sharing, spent_of
from .look_store import look_at_store, processes_of

__all__ = ["MOST_INSTANCES", "examine", "of_bad_config", "of_config"]

MOST_INSTANCES = 64
"""So many instances of a route are looked at, side by side."""

_ORDER = (Level.OK, Level.NOTE, Level.WARNING, Level.PROBLEM)

_ANSWER = 5.0
"""Seconds for the answer to GET at most."""

_HANDSHAKE = 2.0
"""Seconds for a handshake, and for what the instance says of it, after a GET that was broken off."""


def of_bad_config(error: ConfigError) -> list[Finding]:
    """Why a configuration cannot be used."""
    findings: list[Finding] = []
    for problem in error.problems:
        place = f"{error.source}:{problem.line}" if problem.line is not None else error.source
        found = f"{problem.path}: {problem.message}" if problem.path else problem.message
        step = "mend the file; `directlane check` tells the same without asking anybody"
        findings.append(Finding(Level.PROBLEM, "configuration", "config-wrong", place, found, next=step))
    return findings


def of_config(config: Config) -> list[Finding]:
    """What loading a configuration brought to light."""
    count, routes = len(config.services), sum(len(plan.routes) for plan in config.services.values())
    text = f"{count} service{'s' * (count != 1)}, {routes} route{'s' * (routes != 1)}"
    findings = [Finding(Level.OK, "configuration", "config-right", config.source, text)]
    for problem in config.warnings:
        place = f"{config.source}:{problem.line}" if problem.line is not None else config.source
        if problem.path:
            found = f"{problem.path}: {problem.message}"
            findings.append(Finding(Level.WARNING, "configuration", "config-warning", place, found))
        else:
            step = "mend or remove the package, or block the plug-in with `plugins.block`"
            findings.append(Finding(Level.WARNING, "plug-in", "plugin-broken", place, problem.message, next=step))
    return findings


def examine(config: Config, services: Sequence[str], *, clock: Clock = SYSTEM_CLOCK) -> list[Finding]:
    """Look at the store, and at some services.

    Args:
        config: The configuration.
        services: Names of services in it.
        clock: Source of time.
    """
    findings = look_at_store(config.store)
    plans = [config.services[name] for name in services]
    findings += asyncio.run(_routes(config, plans, clock))
    if config.store is not None:
        config.store.close()
    return findings


async def _routes(config: Config, plans: Iterable[ServicePlan], clock: Clock) -> list[Finding]:
    tls = await asyncio.to_thread(httpx.create_ssl_context, trust_env=False)
    tools = _Tools(config, clock, tls, await asyncio.to_thread(processes_of, config.store))
    findings: list[Finding] = []
    # One after the other: routes of one user share its budget, and the same question is asked once.
    for plan in plans:
        for route in plan.routes:
            found = await _route(tools, plan, route)
            findings += [_advised(route, replace(finding, service=plan.name, route=route.name)) for finding in found]
    return findings


@dataclass(slots=True)
class _Tools:
    config: Config
    clock: Clock
    tls: ssl.SSLContext
    processes: int | None
    """How many share the store, without us. Asked once: a second look would count the first one."""
    heard: dict[Hashable, tuple[Heard, CarefulKeeper]] = field(
        default_factory=dict[Hashable, tuple[Heard, CarefulKeeper]]
    )
    """What each question brought: routes that ask the same are asked for once."""
    clocks: set[str] = field(default_factory=set[str])
    """Hosts whose clock was looked at."""


async def _route(tools: _Tools, plan: ServicePlan, route: RoutePlan) -> list[Finding]:
    try:
        upkeep, discovery = upkeep_of(route), discovery_of(route)
        findings: list[Finding] = []
        if upkeep is not None:
            heard, _ = await _hear(tools, plan, ("upkeep", upkeep.identity), upkeep)
            findings += _said(tools, heard)
            if isinstance(heard.result, DiscoveryError):
                findings.append(discovery_failed("credential", heard.result))
        heard, keeper = await _hear(tools, plan, discovery.identity, discovery)
        findings += _said(tools, heard)
        findings += await _sharing(tools, plan, discovery)
        endpoints: tuple[Endpoint, ...] = ()
        if isinstance(heard.result, DiscoveryError):
            findings.append(discovery_failed("list", heard.result))
        elif isinstance(heard.result, Snapshot):
            belief = after_answer(
                Belief(),
                heard.result,
                tools.clock.monotonic(),
                source=discovery.addresses,
                empty=discovery.empty_answer,
                networks=plan.discovery.allow_networks,
            )
            findings += listed(heard.result, belief)
            endpoints = belief.endpoints
            findings += _budgets(tools, plan, route, keeper)
        return findings + await _instances(tools, plan, route, endpoints)
    except PluginError as error:
        return [discovery_failed("list", DiscoveryError(str(error)))]
    except Exception as error:  # noqa: BLE001 - a provider is a plug-in
        return [discovery_failed("list", plugin_failure(error))]


async def _hear(tools: _Tools, plan: ServicePlan, identity: Hashable, source: object) -> tuple[Heard, CarefulKeeper]:
    known = tools.heard.get(identity)
    if known is not None:
        heard, keeper = known
        return replace(heard, findings=[]), keeper
    limit = plan.discovery.timeout
    keeper = CarefulKeeper(tools.config.store)
    asker = Asker(identity, tools.tls, keeper, LocalRunner(), limit)
    try:
        heard = await ask(source, asker, tools.clock, limit=limit)  # type: ignore[arg-type]  # pyright: ignore
    finally:
        await asker.close()
    tools.heard[identity] = heard, keeper
    return heard, keeper


async def _sharing(tools: _Tools, plan: ServicePlan, discovery: Discovery) -> list[Finding]:
    store = tools.config.store
    if store is None or fixed_belief(discovery, plan.discovery, tools.clock) is not None:
        return []  # what never changes is asked by nobody
    return await asyncio.to_thread(look_at_sharing, store, discovery, plan.discovery, tools.processes)


def _said(tools: _Tools, heard: Heard) -> list[Finding]:
    new = {host: skew for host, skew in heard.skews.items() if host not in tools.clocks}
    tools.clocks |= new.keys()
    return [*heard.findings, *(clock(skew, host) for host, skew in new.items())]


def _budgets(tools: _Tools, plan: ServicePlan, route: RoutePlan, keeper: CarefulKeeper) -> list[Finding]:
    """Of the limits that each round spends from; a login, which has one of its own, is rare."""
    store, declared = tools.config.store, {budget.name for budget in route.provider.budgets()}
    return [
        budget_kept(
            budget,
            keeper.spent.count(budget),
            plan.discovery.interval,
            is_shared=store is not None,
            processes=tools.processes,
            spent=spent_of(store, budget),
        )
        for budget in dict.fromkeys(keeper.spent)
        if not declared or budget.name in declared
    ]


async def _instances(
    tools: _Tools, plan: ServicePlan, route: RoutePlan, endpoints: Sequence[Endpoint]
) -> list[Finding]:
    some = endpoints[:MOST_INSTANCES]
    found = await asyncio.gather(*(_instance(tools, plan, route, endpoint) for endpoint in some))
    found.sort(key=lambda finding: (_ORDER.index(finding.level), finding.code))  # what is alike stands together
    return found + ([not_all(len(some), len(endpoints))] if len(some) < len(endpoints) else [])


async def _instance(tools: _Tools, plan: ServicePlan, route: RoutePlan, endpoint: Endpoint) -> Finding:
    limit, start = plan.calls.connect_timeout, tools.clock.monotonic()
    if getattr(plan.transport, "unix_socket", None) is None:
        try:
            seconds = await knock(endpoint, limit)
        except (OSError, UnicodeError) as error:
            told = os_reason(error)
            return no_connection(endpoint, failure_of(error), told, tools.clock.monotonic() - start)
        if endpoint.scheme not in ("http", "https"):
            return is_open(endpoint, seconds)
    start = tools.clock.monotonic()
    timeouts = Timeouts(limit, min(plan.calls.timeout, _ANSWER))
    try:
        reply = await get(route.provider, plan.transport, endpoint, timeouts, tools.clock)
    except TransportError as error:
        failure = failure_of(error)
        if failure is Failure.OTHER and error.phase is Phase.CONNECT:
            failure = Failure.RESET  # it takes connections, as we know, and did not keep this one
        seconds = tools.clock.monotonic() - start
        names: list[str] = []
        if endpoint.scheme == "https" and isinstance(plan.transport, TlsTransport):
            tls = plan.transport.tls()
            if failure is Failure.CERTIFICATE_NAME:
                names = await certificate_names(endpoint, tls.for_a_look(), limit)
            elif failure is Failure.RESET:
                end = await end_of_handshake(endpoint, tls.current(), _HANDSHAKE)
                failure = failure if end is None else failure_of(end)
        can_be_named = "server_name" in type(route.provider).model_fields
        return broke_off(endpoint, failure, str(error), seconds, names, can_be_named=can_be_named)
    seconds = tools.clock.monotonic() - start
    verdict = OK if reply.ok else route.provider.classify(Outcome(Phase.DONE, seconds, reply))
    target = endpoint.base_path + route.provider.wire(endpoint).prefix or "/"
    return instance_answered(endpoint, reply.status, verdict, target, seconds)


def _advised(route: RoutePlan, finding: Finding) -> Finding:
    if finding.level is Level.OK:
        return finding
    try:
        advice = route.provider.advise(finding)
    except Exception:  # noqa: BLE001 - a plug-in that cannot advise gives no advice
        return finding
    return replace(finding, advice=advice) if isinstance(advice, str) else finding
