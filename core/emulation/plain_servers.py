"""Emulators of plain servers: instances that share a token, and something that names them.

    class AcmeEmulator(PlainServersEmulator):
        kind = "acme"

        def publish(self):
            ...  # write the addresses of self.instances to where the provider looks for them

What names the instances, and how it fails, is each emulator's own. Not imported by the package: the contract brings
pydantic, which an instance in a process of its own has no use for.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar

from ..interfaces import Emulator, Instance
from .fleet import Fleet
from .instance import ModelInstance
from .token_gate import token_gate

__all__ = ["EMULATED_TOKEN", "PlainServersEmulator"]

EMULATED_TOKEN = "emulated-token"  # noqa: S105  # opens nothing but emulators


class PlainServersEmulator(Emulator):
    """Some instances that share a token.

    Args:
        instances: How many to start. Default 3.
        token: What the instances demand, as `Authorization: Bearer {token}`. None: nothing. Default: an emulated one.
        processes: Whether each instance is a process of its own. Default: threads.
    """

    kind: ClassVar[str]
    """The name of the provider."""

    def __init__(self, instances: int = 3, *, token: str | None = EMULATED_TOKEN, processes: bool = False) -> None:
        self._count = instances
        self._token = token
        self._weights: dict[str, int | None] = {}
        self._fleet = Fleet(gate=token_gate(token), processes=processes, prefix=self.kind)

    @abstractmethod
    def publish(self) -> None:
        """Name the listed instances to whoever asks from now on."""

    def start(self) -> None:
        """Start the instances, and name them."""
        self._fleet.start(self._count)
        self.publish()

    def stop(self) -> None:
        """Stop the instances."""
        self._fleet.stop()

    @property
    def instances(self) -> Sequence[ModelInstance]:
        """The instances that are named."""
        return self._fleet.listed

    def weight_of(self, instance: ModelInstance) -> int | None:
        """The weight that it was added with, if any."""
        return self._weights.get(instance.name)

    def add_instance(self, *, weight: int | None = None) -> ModelInstance:
        """Start one more, and name it with this weight."""
        instance = self._fleet.add()
        self._weights[instance.name] = weight
        self.publish()
        return instance

    def remove_instance(self, instance: Instance) -> None:
        """As `Emulator.remove_instance`."""
        self._fleet.remove(instance)
        self.publish()

    def route_with(self, **settings: object) -> Mapping[str, object]:
        """A route with these settings, the provider, and the token."""
        route: dict[str, object] = {"provider": self.kind, **settings}
        if self._token is not None:
            route["token"] = f"${{{self._variable}}}"
        return route

    @property
    def environment(self) -> Mapping[str, str]:
        """The token that `route` refers to."""
        return {} if self._token is None else {self._variable: self._token}

    @property
    def _variable(self) -> str:
        return f"EMULATED_{self.kind.upper()}_TOKEN"
