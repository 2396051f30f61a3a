"""Any order of kills, stops and losses: no window holds too much, no list goes back, and all end up to date."""

from __future__ import annotations

import logging
import os
from collections.abc import Generator
from contextlib import contextmanager

import pytest
from sharing_lab import Process, World, most_in_a_window

QUESTIONS = ("a", "b", "c")
SEEDS = range(int(os.environ.get("DIRECTLANE_SHARING_SEEDS", "7")))
FOUND_SOMETHING = (78, 2090)
"""Seeds with which an earlier form was found wrong."""

DISTURBANCES = ("change", "change", "kill", "stop", "cloud", "store", "slow", "forget", "old", "start", "wish", "calm")
AND_CUTS = (*DISTURBANCES, "cut off", "cut off", "start")


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)


def calm(world: World) -> None:
    """Mend everything."""
    world.is_store_down, world.store_delay = False, 0.0
    for process in world.living:
        process.is_stopped = process.is_cut_off = process.is_off_cloud = False


def has_all_on_the_store(world: World) -> bool:
    """Whether those who were alone have had the time to tell what they spent."""
    return not world.is_store_down and world.time > world.store_back_at + 6.0


def disturb(world: World, kinds: tuple[str, ...]) -> None:
    """Something happens."""
    chance = world.chance
    process: Process = chance.choice(world.living)

    def for_a_while(thing: object, name: str, longest: float) -> None:
        setattr(thing, name, True)
        world.at(world.time + chance.uniform(0.5, longest), lambda: setattr(thing, name, False))

    match chance.choice(kinds):
        case "change":
            world.plane.change()
        case "kill" if len(world.living) > 2:
            process.is_dead = True
        case "start" if len(world.living) < 6 and ("cut off" in kinds or has_all_on_the_store(world)):
            world.start(QUESTIONS)
        case "stop":
            for_a_while(process, "is_stopped", 20.0)
        case "cloud":
            for_a_while(process, "is_off_cloud", 60.0)
        case "cut off":
            for_a_while(process, "is_cut_off", 60.0)
        case "store":
            for_a_while(world, "is_store_down", 60.0)
        case "slow":
            world.store_delay = chance.choice((0.1, 0.5, 2.0, 4.0))
            world.at(world.time + chance.uniform(0.5, 30.0), lambda: setattr(world, "store_delay", 0.0))
        case "forget":
            world.server.lose_memory()
        case "old":
            world.server.save()
            world.at(world.time + chance.uniform(0.1, 30.0), world.server.begin_with_what_was_saved)
        case "wish":
            process.pollers[chance.choice(QUESTIONS)].ask_soon()
        case "calm":
            calm(world)
        case _:
            pass


@contextmanager
def disturbed(seed: int, kinds: tuple[str, ...], times: int = 25) -> Generator[World, None, None]:
    """A world after many disturbances, still in the middle of them."""
    world = World(seed)
    for _ in range(4):
        world.start(QUESTIONS)
    for _ in range(times):
        world.run(world.chance.expovariate(1 / 5))
        disturb(world, kinds)
    yield world
    for process in world.processes:
        for versions in process.seen.values():
            assert versions == sorted(versions), "no list goes back"
    world.close()


def settle(world: World) -> None:
    """Mend everything, and let all processes find out."""
    calm(world)
    world.plane.slow = 0.0
    world.run(world.plane.budget.window * 4)  # who was alone keeps to its share so long, for those who still are


@pytest.mark.parametrize("seed", [*FOUND_SOMETHING, *SEEDS])
def test_no_window_holds_too_much_and_nobody_goes_back(seed: int) -> None:
    with disturbed(seed, DISTURBANCES) as world:
        settle(world)
        world.plane.change()
        world.until(lambda: all(one.is_up_to_date for one in world.living), 15)
        # Whoever leads may lose its way to the control plane: another one asks.
        for process in world.living[1:]:
            process.is_off_cloud = True
        world.plane.change()
        world.until(lambda: all(one.is_up_to_date for one in world.living), 90)
        assert most_in_a_window(world.plane.arrivals) <= world.plane.budget.limit
        assert world.plane.refused == 0


@pytest.mark.parametrize("seed", SEEDS)
def test_process_cut_off_the_store_adds_its_own_share_at_most(seed: int) -> None:
    with disturbed(seed, AND_CUTS) as world:
        settle(world)
        world.plane.change()
        world.until(lambda: all(one.is_up_to_date for one in world.living), 20)
        arrivals = world.plane.arrivals
        counted = [arrival for arrival in arrivals if arrival.share is None]
        assert most_in_a_window(counted) <= world.plane.budget.limit
        for process in world.processes:
            alone = [arrival for arrival in arrivals if arrival.by is process and arrival.share is not None]
            largest = max((arrival.share.limit for arrival in alone if arrival.share is not None), default=0)
            assert most_in_a_window(alone) <= largest
