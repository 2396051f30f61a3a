"""Fixtures: both clouds on loopback, and what makes them fail. For the tests of an application: no VPC, no account.

The emulators come through the plug-in door, like everything of a provider, so other providers' emulators are there too
(`directlane_clouds`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from ..emulation.faults import HALF_BODY, HANG, NONE, RESET, Fault, Slow, Status, Stream
from ..interfaces.emulator import Emulator
from ..plugins.registry import load_plugins

__all__ = ["FaultInjector", "MakeCloud", "directlane_clouds", "emulated_eas", "emulated_modelarts", "faults"]

MakeCloud = Callable[..., Emulator]
"""`make(kind, instances=3, processes=False)`: a running emulator of the provider `kind`, stopped after the test."""


class FaultInjector:
    """Lets an instance fail. Mutable state: none of its own; the faults stand in the instances.

    Each method takes an instance of an emulator, and `times`: for how many requests. Default: until `mend`.
    """

    def _set(self, instance: object, fault: Fault, times: int | None) -> None:
        set_fault = getattr(instance, "set_fault", None)
        if set_fault is None:
            raise TypeError(f"{type(instance).__name__} cannot be told to fail: it has no `set_fault`")
        set_fault(fault, times=times)

    def status(self, instance: object, code: int, times: int | None = None) -> None:
        """Answer with this status."""
        self._set(instance, Status(code), times)

    def slow(self, instance: object, seconds: float, times: int | None = None) -> None:
        """Answer after so many seconds."""
        self._set(instance, Slow(seconds), times)

    def hang(self, instance: object, times: int | None = None) -> None:
        """Run the request and never answer."""
        self._set(instance, HANG, times)

    def reset(self, instance: object, times: int | None = None) -> None:
        """Run the request and break the connection."""
        self._set(instance, RESET, times)

    def half_body(self, instance: object, times: int | None = None) -> None:
        """Send half of the answer and close."""
        self._set(instance, HALF_BODY, times)

    def stream(self, instance: object, *chunks: bytes, broken: bool = False, times: int | None = None) -> None:
        """Answer in these pieces; `broken`: and break off after the last one."""
        self._set(instance, Stream(chunks, broken=broken), times)

    def mend(self, instance: object) -> None:
        """Answer well again."""
        self._set(instance, NONE, None)


@pytest.fixture
def directlane_clouds() -> Iterator[MakeCloud]:
    """Starts the emulator of any installed provider: `directlane_clouds("acme", instances=2)`."""
    with ExitStack() as stack:

        def make(kind: str, instances: int = 3, *, processes: bool = False) -> Emulator:
            registry = load_plugins()
            plugin = registry.providers.get(kind)
            if plugin is None or plugin.emulator is None:
                known = sorted(name for name, each in registry.providers.items() if each.emulator is not None)
                raise LookupError(f"provider {kind!r} has no emulator here; these have one: {', '.join(known)}")
            return stack.enter_context(plugin.emulator(instances, processes=processes))

        yield make


@pytest.fixture
def emulated_eas(directlane_clouds: MakeCloud) -> Emulator:
    """PAI-EAS with three instances."""
    return directlane_clouds("alibaba_eas")


@pytest.fixture
def emulated_modelarts(directlane_clouds: MakeCloud) -> Emulator:
    """ModelArts with three instances."""
    return directlane_clouds("huawei_modelarts")


@pytest.fixture
def faults() -> FaultInjector:
    """Lets an instance fail: `faults.status(cloud.instances[0], 503, times=2)`."""
    return FaultInjector()
