"""Asks one control plane once, step by step, and notes what each step took. Budgets are respected."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from typing import Protocol
from urllib.parse import urlsplit

from ..clock import Clock
from ..discovery.asking import Asker
from ..discovery.conversation import GO_ON, plugin_failure, steps_of
from ..discovery.link import HOLD_MARGIN
from ..discovery.shared_budget import stored_name
from ..endpoint import Snapshot
from ..errors import DiscoveryError, Phase, TransportError
from ..interfaces.discovery import Conversation, Discovery, LocalQuery, NextPiece, PollContext, Query, RateBudget
from ..interfaces.finding import Finding
from ..interfaces.store import Permit, Store, StoreUnavailable
from ..message import Reply
from ..os_reason import os_reason
from .control_plane_rules import answered, budget_spent, name_found, name_missing, silent
from .failures import Failure, failure_of
from .look_network import addresses_of

__all__ = ["BudgetSpent", "CarefulKeeper", "Heard", "ask"]

_PATIENCE = 10.0
"""Seconds to wait for a budget at most."""

_HOLD = 30.0


class Asks(Protocol):
    """A discovery, or an upkeep."""

    def poll(self, context: PollContext) -> Conversation:
        """One conversation."""
        ...


class BudgetSpent(Exception):
    """Others have spent the budget.

    Attributes:
        budgets: Which.
        wait: Seconds until a query may go.
    """

    def __init__(self, budgets: Sequence[RateBudget], wait: float) -> None:
        super().__init__("the rate budget is spent")
        self.budgets = budgets
        self.wait = wait


class CarefulKeeper:
    """Takes each query's budgets from the store, if there is one. Without a store, a single question needs no counting.

    Mutable state: what was spent.
    """

    def __init__(self, store: Store | None) -> None:
        self._store = store
        self.spent: list[RateBudget] = []

    def spend(self, budgets: Sequence[RateBudget], limit: float | None = None) -> AbstractAsyncContextManager[None]:
        """Wait a little until the budgets allow a query.

        Raises:
            BudgetSpent: They will not soon.
        """
        return self._spend(tuple(budgets), _HOLD if limit is None else max(_HOLD, limit + HOLD_MARGIN))

    @asynccontextmanager
    async def _spend(self, budgets: tuple[RateBudget, ...], hold: float) -> AsyncGenerator[None, None]:
        permit = await self._permit(budgets, hold) if budgets else None
        self.spent += budgets
        try:
            yield
        finally:
            if permit is not None and self._store is not None:
                with suppress(StoreUnavailable):
                    await asyncio.to_thread(self._store.settle, permit)

    async def _permit(self, budgets: tuple[RateBudget, ...], hold: float) -> Permit | None:
        if self._store is None:
            return None
        stored = [replace(budget, name=stored_name(budget.name)) for budget in budgets]
        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                got = await asyncio.to_thread(self._store.take, stored, hold)
            except StoreUnavailable:
                return None  # the store's own line says so
            if isinstance(got, Permit):
                return got
            if time.monotonic() + got > deadline:
                raise BudgetSpent(budgets, got)
            await asyncio.sleep(got)


@dataclass(slots=True)
class Heard:
    """What one conversation brought.

    Args:
        findings: One for each step.
        result: The list, or why there is none.
        skews: By how many seconds our clock is ahead of each host's.
    """

    findings: list[Finding] = field(default_factory=list[Finding])
    result: Snapshot | DiscoveryError | None = None
    skews: dict[str, float] = field(default_factory=dict[str, float])


async def ask(source: Discovery | Asks, asker: Asker, clock: Clock, *, limit: float) -> Heard:
    """One conversation, to its end or to its first list.

    Args:
        source: What to ask.
        asker: Asks.
        clock: Source of time.
        limit: Seconds to look up a name.
    """
    heard = Heard()
    known: dict[str, str | None] = {}
    # Only `poll` of it is used; an upkeep has that too.
    steps = steps_of(source, PollContext(clock.unix()))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    try:
        step = next(steps)
        while not isinstance(step, Snapshot):
            step = steps.send(await _one(step, asker, clock, heard, known, limit))
            if isinstance(step, Snapshot):
                heard.result = step  # the first list of a watch is enough
        if heard.result is None:
            heard.result = step
            with suppress(StopIteration):
                steps.send(GO_ON)
    except StopIteration as end:
        heard.result = end.value
    except BudgetSpent as spent:
        heard.findings.append(budget_spent(spent.budgets, spent.wait))
    except DiscoveryError as error:
        heard.result = error
    except Exception as error:  # noqa: BLE001 - a mistake of a plug-in is a finding
        heard.result = plugin_failure(error)
    finally:
        with suppress(DiscoveryError):
            steps.close()
        await asker.end()
    return heard


async def _one(
    step: Query | LocalQuery | NextPiece,
    asker: Asker,
    clock: Clock,
    heard: Heard,
    known: dict[str, str | None],
    limit: float,
) -> Reply | BaseException:
    question, host = _question(step)
    if host and host not in known:
        known[host] = await _look_up(host, heard, limit)
    trouble = known.get(host)
    if trouble is not None:
        return TransportError(f"cannot connect to {host}: {trouble}", phase=Phase.CONNECT)
    start, sent_at = clock.monotonic(), clock.unix()
    answer = await asker.ask(step)
    seconds = clock.monotonic() - start
    if isinstance(answer, Reply):
        if not isinstance(step, NextPiece):
            heard.findings.append(answered(question, answer.status, seconds))
        skew = _skew(answer, sent_at, clock.unix())
        if host and skew is not None:
            heard.skews[host] = skew
    else:
        failure = failure_of(answer)
        heard.findings.append(silent(question, failure, str(answer), seconds))
    return answer


async def _look_up(host: str, heard: Heard, limit: float) -> str | None:
    """None if the host has an address; else why not."""
    with suppress(ValueError):
        ip_address(host)
        return None
    start = time.monotonic()
    try:
        addresses = await addresses_of(host, limit)
    except (OSError, UnicodeError) as error:
        is_late = failure_of(error) is Failure.TIMEOUT
        reason = f"no answer of the name server within {limit:g} s" if is_late else os_reason(error)
        heard.findings.append(name_missing(host, reason, time.monotonic() - start))
        return reason
    heard.findings.append(name_found(host, addresses, time.monotonic() - start))
    return None


def _question(step: Query | LocalQuery | NextPiece) -> tuple[str, str]:
    """What is asked, without what may be secret, and the host; empty if there is none."""
    if isinstance(step, LocalQuery):
        return step.what, ""
    if isinstance(step, NextPiece):
        return "the next piece of the answer", ""
    try:
        parts = urlsplit(step.url)
        host = parts.hostname or ""
        port = f":{parts.port}" if parts.port is not None else ""
    except ValueError:
        return f"{step.method} (a URL that is none)", ""
    shown = f"[{host}]" if ":" in host else host
    return f"{step.method} {parts.scheme}://{shown}{port}{parts.path}", host


def _skew(reply: Reply, sent_at: float, came_at: float) -> float | None:
    """Seconds by which our clock is ahead of the one that wrote the answer; None if it does not say.

    The header has whole seconds, cut off, and was written somewhere between question and answer.
    """
    text = next((value for name, value in reply.headers if name.lower() == "date"), None)
    if text is None:
        return None
    try:
        theirs = parsedate_to_datetime(text).timestamp()
    except (ValueError, OverflowError):
        return None
    if sent_at - 1 <= theirs <= came_at:
        return 0.0
    return sent_at - 1 - theirs if theirs < sent_at - 1 else came_at - theirs
