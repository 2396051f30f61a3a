"""A simulator: what would a balancer do to this fleet, under this load?

Virtual time, seeded chance, no sockets. The balancers, the pools and the statistics are the real ones; only the far
side is made up: servers with a queue, slots, a speed and faults. One simulated second is whatever unit the scenario
thinks in; only the penalty for failures is told in seconds.
"""

from .arrivals import Arrivals, Poisson, Recorded, Steady
from .faults import BlackHole, FastFailure, Fault, Slow, WarmUp
from .figures import ServerFigures, SimulationResult
from .keys import Keys, UniformKeys, ZipfKeys
from .run import simulate
from .scenario import ClientDeploy, Scenario, Server
from .work import ConstantWork, ExponentialWork, HeavyTail, Work

__all__ = [
    "Arrivals",
    "BlackHole",
    "ClientDeploy",
    "ConstantWork",
    "ExponentialWork",
    "FastFailure",
    "Fault",
    "HeavyTail",
    "Keys",
    "Poisson",
    "Recorded",
    "Scenario",
    "Server",
    "ServerFigures",
    "SimulationResult",
    "Slow",
    "Steady",
    "UniformKeys",
    "WarmUp",
    "Work",
    "ZipfKeys",
    "simulate",
]
