"""What this folder brings through the plug-in door."""

from __future__ import annotations

from ...core.interfaces import Emulator
from ...core.plugins.hooks import ProviderPlugin, hookimpl
from .provider import DnsProvider

__all__ = ["directlane_providers"]


def _emulator(instances: int, *, processes: bool = False) -> Emulator:
    from .emulator import DnsEmulator  # needs h11 and dnspython, which only those who emulate have

    return DnsEmulator(instances, processes=processes)


@hookimpl
def directlane_providers() -> list[ProviderPlugin]:
    """The provider `dns`."""
    return [ProviderPlugin(DnsProvider, emulator=_emulator)]
