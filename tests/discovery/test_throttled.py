"""For how long all leave a control plane alone that says that it is asked too often."""

from __future__ import annotations

from sharing_lab import World
from sharing_store_lab import Server

from directlane.core.discovery.shared_budget import throttled_for
from directlane.core.interfaces.store import Saved


def said(seconds: float, ago: float) -> Saved:
    return Saved(f"{seconds:.3f}".encode(), "1", ago)


def test_as_long_as_it_says_but_not_for_ever() -> None:
    assert throttled_for(42.0, None, 5.0, 60.0) == 42.0
    assert throttled_for(1.0, None, 5.0, 60.0) == 5.0
    assert throttled_for(86400.0, None, 5.0, 60.0) == 600.0


def test_without_a_word_it_doubles_up_to_two_windows() -> None:
    assert throttled_for(None, None, 5.0, 60.0) == 10.0
    assert throttled_for(None, said(10.0, 12.0), 5.0, 60.0) == 20.0
    assert throttled_for(None, said(100.0, 101.0), 5.0, 60.0) == 120.0
    assert throttled_for(None, said(100.0, 301.0), 5.0, 60.0) == 10.0, "that was long ago"


def test_fleets_that_share_a_limit_through_two_stores_by_mistake_still_see_changes() -> None:
    world = World(0)
    world.plane.slow = 0.0
    stores = world.server, Server(world)
    for store in stores * 2:
        world.server = store
        world.start(("a", "b", "c"))
    world.run(60.0)
    assert world.plane.refused, "together they ask too often"
    for _ in range(2):
        world.plane.change()
        world.until(lambda: all(process.is_up_to_date for process in world.living), 3.5 * world.plane.budget.window)
    world.close()
