"""The hook file: everything that a plug-in can bring.

A plug-in is a module (or object) that an entry point of the group `directlane` names. It implements one or more of
these hooks with `@directlane.hookimpl`. They are called once, when a client or the command line sets up; never per
call. Each returns records; a record is checked when it is made.

    # pyproject.toml of your distribution
    [project.entry-points.directlane]
    acme = "directlane_acme.plugin"
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import pluggy

from ..interfaces.balancer import Balancer
from ..interfaces.emulator import Emulator
from ..interfaces.provider import Provider
from ..interfaces.store import Store
from ..interfaces.transport import Transport

__all__ = ["GROUP", "HOOK_VERSION", "Hooks", "MakeEmulator", "ProviderPlugin", "hookimpl", "hookspec"]

GROUP = "directlane"
"""The entry-point group, and the name of the plugin system."""

HOOK_VERSION = 1
"""Raised when a hook changes in a way that plug-ins must follow.

A plug-in may say for which version it was made: `directlane_hook_version = 1` in its module. One that was made for a
newer version is reported as broken, with that reason; one that was made for an older version is loaded as long as its
hooks are known. Without this line nothing is compared.
"""

hookspec: pluggy.HookspecMarker = pluggy.HookspecMarker(GROUP)
hookimpl: pluggy.HookimplMarker = pluggy.HookimplMarker(GROUP)


class MakeEmulator(Protocol):
    """Makes an emulator that is not started yet."""

    def __call__(self, instances: int, *, processes: bool = False) -> Emulator:
        """An emulator with so many instances, each in a process of its own or all in this one."""
        ...


@dataclass(frozen=True, slots=True)
class ProviderPlugin:
    """A provider as a plug-in brings it.

    Args:
        model: The provider's settings model.
        emulator: Makes an emulator of its cloud. Not called unless somebody wants one, so import what it needs inside.
            None: there is none.
    """

    model: type[Provider]
    emulator: MakeEmulator | None = None


class Hooks:
    """The hooks. A plug-in implements functions of the same names."""

    @hookspec
    def directlane_providers(self) -> Iterable[ProviderPlugin]:  # type: ignore[empty-body]  # a hookspec has no body
        """Providers.

        Example:
            @directlane.hookimpl
            def directlane_providers():
                return [ProviderPlugin(AcmeProvider)]
        """

    @hookspec
    def directlane_balancers(self) -> Iterable[type[Balancer]]:  # type: ignore[empty-body]  # a hookspec has no body
        """Balancers.

        Example:
            @directlane.hookimpl
            def directlane_balancers():
                return [FewestTokens]
        """

    @hookspec
    def directlane_transports(self) -> Iterable[type[Transport]]:  # type: ignore[empty-body]  # a hookspec has no body
        """Transports.

        Example:
            @directlane.hookimpl
            def directlane_transports():
                return [QuicTransport]
        """

    @hookspec
    def directlane_stores(self) -> Iterable[type[Store]]:  # type: ignore[empty-body]  # a hookspec has no body
        """Stores.

        Example:
            @directlane.hookimpl
            def directlane_stores():
                return [EtcdStore]
        """
