"""Looks at what processes tell each other through the store: who asks, since when, what is spent. Blocks briefly."""

from __future__ import annotations

from dataclasses import replace

from ..config.model import DiscoverySettings
from ..discovery.publication import Publication, unpack
from ..discovery.saved_list import SavedListUnreadable, question_name
from ..discovery.shared_budget import stored_name
from ..discovery.sharing import is_shared, shared_identity
from ..interfaces.discovery import Discovery, RateBudget
from ..interfaces.finding import Finding
from ..interfaces.store import Store
from .sharing_rules import asker_known, asker_none, asker_unreadable

__all__ = ["look_at_sharing", "spent_of"]


def look_at_sharing(
    store: Store, discovery: Discovery, settings: DiscoverySettings, processes: int | None
) -> list[Finding]:
    """Who asks this question, for all that share the store. Nothing if it is not shared, or the store is away.

    Args:
        store: Where they tell each other.
        discovery: The question.
        settings: How it is asked.
        processes: How many processes share the store now, without us; None if that is not known.
    """
    name = question_name(shared_identity(discovery, settings)) if is_shared(discovery) else None
    if name is None:
        return []
    told: Publication | None = None
    try:
        saved = store.read(name)
        told = unpack(saved.data) if saved is not None else None
    except SavedListUnreadable as error:
        return [asker_unreadable(str(store), str(error))]
    except Exception:  # noqa: BLE001 - the line of the store says so
        return []
    if saved is None or told is None:
        return [asker_none(str(store), processes)]
    return [asker_known(str(store), told, saved.age, processes)]


def spent_of(store: Store | None, budget: RateBudget) -> int | None:
    """How many queries count in the window of a budget now; None if nobody knows."""
    if store is None:
        return None
    try:
        return store.spent(replace(budget, name=stored_name(budget.name)))
    except Exception:  # noqa: BLE001 - the line of the store says so
        return None
