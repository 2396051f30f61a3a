"""The plug-in: what this folder brings."""

from __future__ import annotations

from collections.abc import Iterable

from ...core.interfaces import Emulator
from ...core.plugins.hooks import ProviderPlugin, hookimpl
from .provider import HuaweiModelArtsProvider

__all__ = ["directlane_providers"]


@hookimpl
def directlane_providers() -> Iterable[ProviderPlugin]:
    """Huawei Cloud ModelArts."""
    return [ProviderPlugin(HuaweiModelArtsProvider, emulator=_emulator)]


def _emulator(instances: int, *, processes: bool = False) -> Emulator:
    from .emulator import ModelArtsEmulator  # its HTTP library is an extra

    return ModelArtsEmulator(instances, processes=processes)
