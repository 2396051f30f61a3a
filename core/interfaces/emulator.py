"""The Emulator contract: a cloud on loopback, for tests, for the demo and by hand.

Every provider brings one. It is a real HTTP server with the cloud's discovery and authentication, and instances that
can be told to misbehave; what it answers on a fault is written down, not mocked.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from enum import Enum
from types import TracebackType
from typing import Protocol, Self

__all__ = ["ControlFault", "Emulator", "Instance"]


class ControlFault(Enum):
    """Ways in which an emulated control plane can fail."""

    NONE = "none"
    ERROR_500 = "500"
    NOT_FOUND = "404"
    EMPTY = "empty"
    """A well-formed answer without endpoints."""
    HTML = "html"
    HALF_JSON = "half json"
    WRONG_TYPES = "wrong types"
    HANG = "hang"
    """Accepts the request and never answers."""
    RESET = "reset"
    """Resets the connection instead of answering."""


class Instance(Protocol):
    """One emulated instance: a real server in a process or thread of its own."""

    @property
    def host(self) -> str:
        """The IP address on which it listens."""
        ...

    @property
    def port(self) -> int:
        """The TCP port on which it listens."""
        ...

    def kill(self) -> None:
        """End it at once, as a crash does (SIGKILL for a process)."""
        ...


class Emulator(ABC):
    """One emulated cloud with one service. Use it as a context manager."""

    @abstractmethod
    def start(self) -> None:
        """Start the control plane and the instances; returns when they answer."""

    @abstractmethod
    def stop(self) -> None:
        """Stop everything that `start` and `add_instance` started. Harmless when called again."""

    @property
    @abstractmethod
    def instances(self) -> Sequence[Instance]:
        """The instances that were started and not removed."""

    @abstractmethod
    def add_instance(self, *, weight: int | None = None) -> Instance:
        """Start one more instance and list it."""

    @abstractmethod
    def remove_instance(self, instance: Instance) -> None:
        """Take an instance off the list, as scaling down does; it goes on serving until it is killed or stopped."""

    @abstractmethod
    def break_control_plane(self, fault: ControlFault) -> None:
        """Let the control plane fail from now on; `ControlFault.NONE` mends it."""

    @abstractmethod
    def route(self) -> Mapping[str, object]:
        """The settings of a route to this cloud, as they stand in a configuration file, `provider` included.

        Secrets stand as references such as `${EMULATED_EAS_TOKEN}`; `environment` has their values.
        """

    @property
    @abstractmethod
    def environment(self) -> Mapping[str, str]:
        """The environment variables that `route` refers to. Emulated secrets, so they may be shown."""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
