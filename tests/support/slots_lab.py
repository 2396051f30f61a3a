"""Slots without a service: endpoints that are names, calls that take the first name with room."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from directlane.core.clock import Clock
from directlane.core.config.slots import SlotSettings
from directlane.core.resilience.slots import Slots

__all__ = ["HeldSlot", "Place", "Wanted", "slots_of"]


@dataclass(eq=False)
class HeldSlot:
    """A slot in use."""

    slots: Slots[HeldSlot]
    endpoint_id: str
    started_at: float = 0.0

    def release(self) -> None:
        self.slots.give_back(self)


@dataclass
class Place:
    """The endpoints that may get calls, in the order in which calls ask for them, and how often they asked."""

    clock: Clock
    names: list[str]
    picks: int = 0
    full_at_grants: list[tuple[str, frozenset[str]]] = field(default_factory=list[tuple[str, frozenset[str]]])

    def first(self, unwanted: Collection[str]) -> str | None:
        self.picks += 1
        return next((name for name in self.names if name not in unwanted), None)


@dataclass
class Wanted:
    """A call that wants a slot, elsewhere than where it was tried if there is another endpoint."""

    slots: Slots[HeldSlot]
    place: Place
    tried: frozenset[str] = frozenset()

    @property
    def is_choosy(self) -> bool:
        return bool(self.tried)

    def acceptable(self) -> Iterable[str]:
        """Who would do."""
        fresh = [name for name in self.place.names if name not in self.tried]
        return fresh or self.place.names

    def seek(self, full: Collection[str]) -> HeldSlot | None:
        unwanted = frozenset(full) | (frozenset(self.place.names) - frozenset(self.acceptable()))
        name = self.place.first(unwanted)
        if name is None:
            return None
        self.place.full_at_grants.append((name, frozenset(full)))
        return HeldSlot(self.slots, name, self.place.clock.monotonic())

    def has_somebody(self) -> bool:
        return bool(self.place.names)


def slots_of(clock: Clock, per_endpoint: int = 1, queue: int = 64, **settings: object) -> Slots[HeldSlot]:
    """New slots."""
    values = {"per_endpoint": per_endpoint, "queue": queue, **settings}
    return Slots(SlotSettings.model_validate(values), clock)
