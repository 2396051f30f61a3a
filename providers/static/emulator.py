"""Instances on loopback at fixed addresses. There is no control plane: nothing is asked, so nothing can break."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ...core.emulation import Fleet, ModelInstance, token_gate
from ...core.interfaces import ControlFault, Emulator, Instance

__all__ = ["StaticEmulator"]

EMULATED_TOKEN = "emulated-static-token"  # noqa: S105  # opens nothing but the emulator
_VARIABLE = "EMULATED_STATIC_TOKEN"


class StaticEmulator(Emulator):
    """Some instances that share a token.

    Args:
        instances: How many to start. Default 3.
        token: What the instances demand, as `Authorization: Bearer {token}`. None: nothing.
        processes: Whether each instance is a process of its own. Default: threads.
    """

    def __init__(self, instances: int = 3, *, token: str | None = EMULATED_TOKEN, processes: bool = False) -> None:
        self._count = instances
        self._token = token
        self._weights: dict[str, int | None] = {}
        self._fleet = Fleet(gate=token_gate(token), processes=processes, prefix="static")

    def start(self) -> None:
        """Start the instances."""
        self._fleet.start(self._count)

    def stop(self) -> None:
        """Stop them all."""
        self._fleet.stop()

    @property
    def instances(self) -> Sequence[ModelInstance]:
        """The instances that `route` names."""
        return self._fleet.listed

    def add_instance(self, *, weight: int | None = None) -> ModelInstance:
        """Start one more. Only a `route` that is read after this names it."""
        instance = self._fleet.add()
        self._weights[instance.name] = weight
        return instance

    def remove_instance(self, instance: Instance) -> None:
        """As `Emulator.remove_instance`, for a `route` that is read after this."""
        self._fleet.remove(instance)

    def break_control_plane(self, fault: ControlFault) -> None:
        """Does nothing: there is no control plane."""

    def route(self) -> Mapping[str, object]:
        """Settings with the addresses of the listed instances."""
        addresses = [
            instance.url
            if self._weights.get(instance.name) is None
            else {"url": instance.url, "weight": self._weights[instance.name]}
            for instance in self._fleet.listed
        ]
        route: dict[str, object] = {"provider": "static", "addresses": addresses}
        if self._token is not None:
            route["token"] = f"${{{_VARIABLE}}}"
        return route

    @property
    def environment(self) -> Mapping[str, str]:
        """The token that `route` refers to."""
        return {} if self._token is None else {_VARIABLE: self._token}
