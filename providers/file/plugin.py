"""What this folder brings through the plug-in door."""

from __future__ import annotations

from ...core.interfaces import Emulator
from ...core.plugins.hooks import ProviderPlugin, hookimpl
from .provider import FileProvider

__all__ = ["directlane_providers"]


def _emulator(instances: int, *, processes: bool = False) -> Emulator:
    from .emulator import FileEmulator  # needs h11, which only those who emulate have

    return FileEmulator(instances, processes=processes)


@hookimpl
def directlane_providers() -> list[ProviderPlugin]:
    """The provider `file`."""
    return [ProviderPlugin(FileProvider, emulator=_emulator)]
