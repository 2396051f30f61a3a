"""Any order of kills, stops and losses: no window holds too much, no list goes back, and all end up to date."""

from __future__ import annotations

import logging
import os

import pytest
from sharing_lab import ForgetfulStore, Process, World

QUESTIONS = ("a", "b", "c")
SEEDS = range(int(os.environ.get("DIRECTLANE_SHARING_SEEDS", "3")))


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)


def calm(world: World) -> None:
    """Mend everything."""
    world.is_store_down = False
    for process in world.living:
        process.is_stopped = process.is_cut_off = False


def disturb(world: World) -> None:
    """Something happens."""
    chance = world.chance
    process: Process = chance.choice(world.living)
    match chance.choice(("change", "change", "kill", "stop", "cut off", "store", "forget", "start", "wish", "calm")):
        case "change":
            world.plane.change()
        case "kill" if len(world.living) > 2:
            process.is_dead = True
        case "start" if len(world.living) < 6 and not world.is_store_down:
            world.start(QUESTIONS)
        case "stop":
            process.is_stopped = True
            world.at(world.time + chance.uniform(0.5, 20.0), lambda: setattr(process, "is_stopped", False))
        case "cut off" if world.allows_partitions:
            process.is_cut_off = True
            world.at(world.time + chance.uniform(0.5, 40.0), lambda: setattr(process, "is_cut_off", False))
        case "store":
            world.is_store_down = True
            world.at(world.time + chance.uniform(0.5, 60.0), lambda: setattr(world, "is_store_down", False))
        case "forget":
            assert isinstance(world.store, ForgetfulStore)
            world.store.lose_memory()
        case "wish":
            process.pollers[chance.choice(QUESTIONS)].ask_soon()
        case "calm":
            calm(world)
        case _:
            pass


@pytest.mark.parametrize("seed", SEEDS)
def test_no_window_holds_too_much_and_nobody_goes_back(seed: int) -> None:
    world = World(seed)
    for _ in range(4):
        world.start(QUESTIONS)
    for _ in range(25):
        world.run(world.chance.expovariate(1 / 5))
        disturb(world)
    calm(world)
    world.plane.slow = 0.0
    world.run(world.plane.budget.window * 3)  # who was alone keeps to its share so long, for those who still are
    world.plane.change()
    world.until(lambda: all(one.version(name) == world.plane.version for one in world.living for name in QUESTIONS), 15)
    assert world.most_in_a_window() <= world.plane.budget.limit
    assert world.plane.refused == 0
    for process in world.processes:
        for versions in process.seen.values():
            assert versions == sorted(versions)
    world.close()
