"""Stores come through the door of all plug-ins."""

from __future__ import annotations

import pytest

from directlane import PluginError, hookimpl
from directlane.core.interfaces.store import Store
from directlane.core.plugins.registry import Registered, Registry
from directlane.core.stores import plugin
from directlane.core.stores.memory_store import MemoryStore
from directlane.core.stores.redis_store import RedisStore
from directlane.core.stores.sqlite_store import SqliteStore

OURS = Registered("stores", "directlane 0")


def test_built_in_stores_are_a_plugin() -> None:
    registry = Registry()
    registry.add(plugin, OURS)
    assert registry.stores == {"memory": MemoryStore, "sqlite": SqliteStore, "redis": RedisStore}
    assert registry.origins["store", "sqlite"] == OURS


class Half(Store):
    kind = "half"
    summary = "Lacks nearly everything."


class Twin(MemoryStore):
    pass


class Taker(MemoryStore):
    kind = "taker"
    schemes = ("taker", "sqlite")


class Shouter(MemoryStore):
    kind = "shouter"
    schemes = ("Shout",)


@pytest.mark.parametrize(
    ("store", "reason"),
    [
        (Half, "store 'half' lacks methods of the contract: attend, cancel, close"),
        (Twin, "store 'memory' is already brought by 'stores' of directlane 0"),
        (Taker, "store 'taker' names 'sqlite', which is a word of store 'sqlite'"),
        (Shouter, "store 'shouter' needs `schemes` that is a tuple of URL schemes in small letters"),
        (dict, "the class dict is not a subclass of Store"),
    ],
)
def test_store_that_breaks_the_contract_is_refused(store: type[Store], reason: str) -> None:
    class Acme:
        @hookimpl
        def directlane_stores(self) -> list[type[Store]]:
            return [store]

    registry = Registry()
    registry.add(plugin, OURS)
    with pytest.raises(PluginError, match=reason):
        registry.add(Acme(), Registered("acme", "acme 1"))
    assert set(registry.stores) == {"memory", "sqlite", "redis"}
