"""What sharing costs and says while things are wrong: no storm of log lines, no storm of questions to the store."""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterator
from contextlib import contextmanager

import pytest
from sharing_lab import World


@contextmanager
def world_of(processes: int, questions: int = 1) -> Generator[World, None, None]:
    world = World(1)
    world.plane.slow = 0.0
    for _ in range(processes):
        world.start([str(number) for number in range(questions)], interval=60.0)
    world.run(10.0)
    yield world
    world.close()


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> Iterator[list[str]]:
    """The lines so far, filled when the test looks."""
    caplog.set_level(logging.INFO)
    lines: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.levelno >= logging.WARNING:
                lines.append(record.getMessage())

    handler = Keep()
    logging.getLogger("directlane").addHandler(handler)
    yield lines
    logging.getLogger("directlane").removeHandler(handler)


def test_store_that_is_gone_for_long_is_told_once_by_each(said: list[str]) -> None:
    with world_of(2) as world:
        world.is_store_down = True
        world.run(600.0)
        assert sum("does not answer" in line for line in said) == 2
        world.is_store_down = False
        world.run(10.0)
        assert sum("answers again" in line for line in said) == 2
        assert len(said) == 4


def test_store_that_comes_and_goes_is_told_once_a_minute(said: list[str]) -> None:
    with world_of(1) as world:
        for _ in range(30):
            world.is_store_down = True
            world.run(6.0)
            world.is_store_down = False
            world.run(6.0)
        assert len(said) <= 2 * 7
        assert any("times since this was said last" in line for line in said)


def test_store_that_is_lost_again_for_good_is_told_in_the_end(said: list[str]) -> None:
    with world_of(1) as world:
        for seconds in (6.0, 120.0):
            world.is_store_down = True
            world.run(seconds)
            world.is_store_down = False
            world.run(6.0)
        assert ["does not" in line for line in said] == [True, False, True, False]


def test_control_plane_that_is_away_is_told_once_by_each(said: list[str]) -> None:
    with world_of(3) as world:
        for process in world.living:
            process.is_off_cloud = True
        world.run(300.0)
        assert sum("discovery fails" in line for line in said) == 3
        assert len(said) == 3


def test_questions_to_the_store_are_few_whatever_happens() -> None:
    with world_of(4, 3) as world:
        for trouble in ("", "is_off_cloud", "is_cut_off"):
            for process in world.living:
                if trouble:
                    setattr(process, trouble, True)
            before, began = sum(world.server.asked.values()), world.time
            world.run(60.0)
            each = (sum(world.server.asked.values()) - before) / (world.time - began) / 4
            assert each <= 3 * 4.5 + 1, "of each process in a second"


def test_many_wishes_of_one_moment_are_told_once_or_twice() -> None:
    with world_of(12) as world:
        world.run(20.0)  # the last question is long enough ago
        before = world.server.asked["publish"]
        for process in world.living:
            process.pollers["0"].ask_soon()
        world.run(3.0)
        assert 1 < world.server.asked["publish"] - before <= 8, "one wish or a few, and the answer"


def test_process_with_many_questions_sleeps_most_of_the_time() -> None:
    with world_of(2, 60) as world:
        for process in world.living:
            process.loop.woken = 0
        world.run(10.0)
        for process in world.living:
            assert process.loop.woken <= 10 * 60 * 10
