"""What this folder brings through the plug-in door."""

from __future__ import annotations

from ...core.interfaces import Emulator
from ...core.plugins.hooks import ProviderPlugin, hookimpl
from .provider import KubernetesProvider

__all__ = ["directlane_providers"]


def _emulator(instances: int, *, processes: bool = False) -> Emulator:
    from .emulator import KubernetesEmulator  # needs h11, which only those who emulate have

    return KubernetesEmulator(instances, processes=processes)


@hookimpl
def directlane_providers() -> list[ProviderPlugin]:
    """The provider `kubernetes`."""
    return [ProviderPlugin(KubernetesProvider, emulator=_emulator)]
