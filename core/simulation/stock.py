"""Scenarios that everybody asks about, by name. A call is 1 s of work on average.

What happens in the course of a scenario (a deploy, a failure) is told in parts of its length, so that it happens with
few calls and with many, with calls of chance and with recorded ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ..config.ejection import NO_EJECTION, EjectionSettings
from .arrivals import Arrivals, Poisson, Recorded
from .faults import BlackHole, FastFailure, Slow, WarmUp
from .keys import Keys, UniformKeys, ZipfKeys
from .scenario import ClientDeploy, Scenario, Server
from .work import ExponentialWork, HeavyTail, Work

__all__ = ["STOCK", "Stock", "stock_scenario"]

_SERVERS = 10
_COLD = 30.0
"""Seconds that a new server needs to gain its full speed, from a tenth of it: a model with caches to fill."""


@dataclass(frozen=True, slots=True)
class Stock:
    """A scenario on the shelf.

    Args:
        summary: One sentence for lists.
        rate: Calls in a second on average.
        make: Makes it, from the calls and from its length in seconds.
        work: How much work each call is.
    """

    summary: str
    rate: float
    make: Callable[[Arrivals, float], Scenario]
    work: Work = field(default_factory=ExponentialWork)


def _fleet(*first: Server, slots: int = 1) -> list[Server]:
    """These servers, and as many plain ones as are missing to ten."""
    return [*first, *(Server(f"s{place}", slots=slots) for place in range(len(first), _SERVERS))]


def _always(servers: Sequence[Server], *, clients: int = 4, keys: Keys | None = None) -> Callable[..., Scenario]:
    """Nothing happens in the course of it."""

    def make(arrivals: Arrivals, length: float) -> Scenario:
        del length
        return Scenario(servers, arrivals, clients=clients, keys=keys or UniformKeys())

    return make


def _black_hole(arrivals: Arrivals, length: float) -> Scenario:
    del length
    servers = _fleet(Server("broken", slots=8, faults=[BlackHole()]), slots=8)
    return Scenario(servers, arrivals, timeout=30.0, keys=UniformKeys())


def _clients_deploy(arrivals: Arrivals, length: float) -> Scenario:
    # Eight clients one after the other, in a fiftieth of the time; five times.
    deploys = [ClientDeploy(length * part, pause=length / 400) for part in (0.2, 0.35, 0.5, 0.65, 0.8)]
    return Scenario(_fleet(), arrivals, clients=8, deploys=deploys, keys=UniformKeys())


def _servers_deploy(arrivals: Arrivals, length: float) -> Scenario:
    servers: list[Server] = []
    for wave, part in enumerate((0.2, 0.35, 0.5, 0.65, 0.8)):
        moment = length * part
        cold = WarmUp(_COLD, start=moment)
        for place in (2 * wave, 2 * wave + 1):
            servers.append(Server(f"old{place}", leaves_at=moment))
            servers.append(Server(f"new{place}", joins_at=moment, faults=[cold]))
    return Scenario(sorted(servers, key=lambda server: server.joins_at), arrivals, keys=UniformKeys())


def _shrink(arrivals: Arrivals, length: float) -> Scenario:
    servers = [Server(f"s{place}") for place in range(6)]
    servers += [Server(f"gone{place}", leaves_at=length * 0.5) for place in range(4)]
    return Scenario(servers, arrivals, keys=UniformKeys())


def _grow(arrivals: Arrivals, length: float) -> Scenario:
    servers = [Server(f"s{place}") for place in range(6)]
    servers += [Server(f"new{place}", joins_at=length * 0.5) for place in range(4)]
    return Scenario(servers, arrivals, keys=UniformKeys())


def _warm_up(arrivals: Arrivals, length: float) -> Scenario:
    start = length * 0.3
    cold = WarmUp(length * 0.1, start=start)
    servers = [Server(f"s{place}") for place in range(7)]
    servers += [Server(f"cold{place}", joins_at=start, faults=[cold]) for place in range(3)]
    return Scenario(servers, arrivals, keys=UniformKeys())


def _slow_in_the_middle(arrivals: Arrivals, length: float) -> Scenario:
    ill = Server("ill", faults=[Slow(0.2, start=length * 0.4, end=length * 0.6)])
    return Scenario(_fleet(ill), arrivals, keys=UniformKeys())


def _fail_for_a_time(arrivals: Arrivals, length: float) -> Scenario:
    ill = Server("ill", slots=8, faults=[FastFailure(start=length * 0.4, end=length * 0.6)])
    return Scenario(_fleet(ill, slots=8), arrivals, keys=UniformKeys())


def _fail_for_good(arrivals: Arrivals, length: float) -> Scenario:
    dead = Server("dead", slots=8, faults=[BlackHole(start=length * 0.5)])
    return Scenario(_fleet(dead, slots=8), arrivals, timeout=30.0, keys=UniformKeys())


_SLOW = _fleet(Server("slow", speed=0.2))
_HALF = _fleet(*(Server(f"slow{place}", speed=0.5) for place in range(5)))
_FAST = _fleet(Server("broken", slots=8, faults=[FastFailure()]), slots=8)

STOCK: Mapping[str, Stock] = {
    "equal": Stock("Equal servers; load 0.8.", 8.0, _always(_fleet())),
    "one-slow": Stock("One server is 5 times slower and nobody says so; load 0.7.", 6.44, _always(_SLOW)),
    "half-slow": Stock("Half of them are 2 times slower and nobody says so; load 0.7.", 5.25, _always(_HALF)),
    "heavy-tail": Stock("One call in ten takes 41 times as long; load 0.7.", 7.0, _always(_fleet()), HeavyTail()),
    "many-clients": Stock("50 clients that do not know of each other; load 0.8.", 8.0, _always(_fleet(), clients=50)),
    "popular-keys": Stock(
        "A few keys make most of the calls (Zipf, 1.1); 8 slots each, load 0.5.",
        40.0,
        _always(_fleet(slots=8), keys=ZipfKeys()),
    ),
    "clients-deploy": Stock("All of 8 clients are replaced by new ones, five times; load 0.8.", 8.0, _clients_deploy),
    "servers-deploy-in-waves": Stock(
        "All are replaced, two at a time, by servers slow at first; load 0.6.", 6.0, _servers_deploy
    ),
    "shrink": Stock("Four of ten leave half-way; load 0.5, then 0.83.", 5.0, _shrink),
    "grow": Stock("Four join six half-way; load 0.83, then 0.5.", 5.0, _grow),
    "warm-up": Stock("Three join seven and need a tenth of the time to gain speed; load 0.79.", 5.5, _warm_up),
    "slow-in-the-middle": Stock("One is 5 times slower for a fifth of the time; load 0.7.", 7.0, _slow_in_the_middle),
    "fail-for-a-time": Stock(
        "One refuses every call for a fifth of the time; 8 slots each, load 0.5.", 40.0, _fail_for_a_time
    ),
    "fail-for-good": Stock(
        "One never answers again half-way; 8 slots each, load 0.5, timeout 30 s.", 40.0, _fail_for_good
    ),
    "black-hole": Stock("One never answers; 8 slots each, load 0.5, timeout 30 s.", 40.0, _black_hole),
    "fast-failure": Stock("One fails every call after 10 ms; 8 slots each, load 0.5.", 40.0, _always(_FAST)),
}
"""By name."""


def stock_scenario(
    name: str,
    *,
    calls: int = 20_000,
    rate: float | None = None,
    clients: int | None = None,
    attempts: int = 1,
    ejection: EjectionSettings = NO_EJECTION,
    keys: Keys | None = None,
    recorded: Recorded | None = None,
) -> Scenario:
    """The scenario of this name.

    Args:
        name: One of `STOCK`.
        calls: How many calls.
        rate: Calls in a second. Default: the scenario's own.
        clients: How many clients. Default: the scenario's own number.
        attempts: How many endpoints a call may try.
        ejection: When clients leave out a server that fails. Default: never.
        keys: Affinity keys. Default: the scenario's own.
        recorded: Calls that take the place of the scenario's own; `calls` and `rate` then mean nothing.
    """
    stock = STOCK[name]
    if recorded is not None:
        scenario = stock.make(recorded, max(1.0, recorded.calls[-1][0]))  # calls of one moment have no length
    else:
        rate = stock.rate if rate is None else rate
        scenario = stock.make(Poisson(rate, calls, stock.work), calls / rate)
    return replace(
        scenario,
        clients=clients or scenario.clients,
        attempts=attempts,
        ejection=ejection,
        keys=keys or scenario.keys,
    )
