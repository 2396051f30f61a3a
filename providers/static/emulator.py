"""Instances on loopback at fixed addresses. There is no control plane: nothing is asked, so nothing can break."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from ...core.emulation.plain_servers import PlainServersEmulator
from ...core.interfaces import ControlFault

__all__ = ["StaticEmulator"]


class StaticEmulator(PlainServersEmulator):
    """Instances, and a `route` that names those that are listed when it is read."""

    kind: ClassVar[str] = "static"

    def publish(self) -> None:
        """Does nothing: `route` names the instances."""

    def break_control_plane(self, fault: ControlFault) -> None:
        """Does nothing: there is no control plane."""

    def route(self) -> Mapping[str, object]:
        """Settings with the addresses of the listed instances."""
        weights = [(instance.url, self.weight_of(instance)) for instance in self.instances]
        return self.route_with(
            addresses=[url if weight is None else {"url": url, "weight": weight} for url, weight in weights]
        )
