"""What is simulated: servers, clients, calls. Values that are checked when made."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ..config.ejection import NO_EJECTION, EjectionSettings
from .arrivals import Arrivals
from .faults import BlackHole, Fault
from .keys import Keys

__all__ = ["ClientDeploy", "Scenario", "Server"]


@dataclass(frozen=True, slots=True)
class Server:
    """One server: calls wait in one queue, first come first served.

    Args:
        name: Its id; unique in the scenario.
        weight: What clients are told of its capacity; None (default): nothing.
        slots: Calls that it works on at the same time. Default 1.
        speed: Seconds of work that a slot does in a second. Default 1.
        faults: What is wrong with it, and when.
        joins_at: Second from which on the clients' lists have it. Default 0.
        leaves_at: Second from which on they do not. It goes on working off what it has. Default: never.

    Raises:
        ValueError: A number is out of range; the text says which.
    """

    name: str
    weight: int | None = None
    slots: int = 1
    speed: float = 1.0
    faults: Sequence[Fault] = ()
    joins_at: float = 0.0
    leaves_at: float = math.inf

    def __post_init__(self) -> None:
        if self.slots < 1:
            raise ValueError(f"server {self.name!r} must have 1 slot or more, not {self.slots!r}")
        if not 0 < self.speed < math.inf:
            raise ValueError(f"server {self.name!r} must have a speed above 0, not {self.speed!r}")
        if not 0 <= self.joins_at < self.leaves_at:
            raise ValueError(f"server {self.name!r} must join at 0 or later, and before it leaves")


@dataclass(frozen=True, slots=True)
class ClientDeploy:
    """Every client is replaced once, one after the other, by one whose statistics are empty.

    The old one finishes its open calls.

    Args:
        start: Second at which the first client is replaced.
        pause: Seconds until the next one. Default 0: all at once.
    """

    start: float
    pause: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.start < math.inf or not 0 <= self.pause < math.inf:
            raise ValueError(f"a deploy starts at 0 or later, with a pause of 0 or more, not {self!r}")


@dataclass(frozen=True, slots=True)
class Scenario:
    """Servers, clients and calls.

    Args:
        servers: At least one, with different names.
        arrivals: The calls of all clients together; each belongs to a client by chance.
        clients: How many clients; each has a pool of its own and knows nothing of the others. Default 4.
        timeout: Seconds after which a client gives an attempt up. Default: never.
        warm_up: Share of the first calls that no figure counts. Default 0.1.
        keys: Affinity keys of the calls. Default: none has a key.
        attempts: How many endpoints a call may try, each of them once. The next is asked as soon as one fails, whatever
            a `Retry-After` says. Default 1: no call is tried again, so that the choice alone is measured.
        report_every: Seconds after which a client, before its next call, gets a load report of every server: how many
            calls run and wait there. 0: each answer carries the report of its server, as HTTP answers do. None
            (default): there are none.
        tells_size: Whether calls tell the balancer their work, as their size. Default False.
        deploys: When the clients are replaced. Default: never.
        ejection: When clients leave out a server that fails. Default: never.
        slow_start: Seconds over which clients give a server that joins, or is back, its share. Default 0: at once.

    Raises:
        ValueError: The scenario cannot be run; the text says why.
    """

    servers: Sequence[Server]
    arrivals: Arrivals
    clients: int = 4
    timeout: float = math.inf
    warm_up: float = 0.1
    keys: Keys | None = None
    attempts: int = 1
    report_every: float | None = None
    tells_size: bool = False
    deploys: Sequence[ClientDeploy] = ()
    ejection: EjectionSettings = NO_EJECTION
    slow_start: float = 0.0

    def __post_init__(self) -> None:
        if not self.servers:
            raise ValueError("a scenario needs a server")
        if len({server.name for server in self.servers}) < len(self.servers):
            raise ValueError("every server needs a name of its own")
        if self.clients < 1:
            raise ValueError(f"a scenario needs a client, not {self.clients!r}")
        if not self.timeout > 0:
            raise ValueError(f"the timeout must be above 0, not {self.timeout!r}")
        if not 0 <= self.warm_up < 1:
            raise ValueError(f"the warm-up is a share from 0 up to 1, not {self.warm_up!r}")
        if self.attempts < 1:
            raise ValueError(f"a call needs an attempt, not {self.attempts!r}")
        if self.report_every is not None and not self.report_every >= 0:
            raise ValueError(f"the time between reports must be 0 or more, not {self.report_every!r}")
        holes = any(isinstance(fault, BlackHole) for server in self.servers for fault in server.faults)
        if holes and self.timeout == math.inf:
            raise ValueError("a black hole needs a timeout, or its calls never end")
