"""People can see who asks for all: in a record, and in one line of the log for each change."""

from __future__ import annotations

import logging
from collections.abc import Generator
from contextlib import contextmanager

import pytest
from sharing_lab import World

from directlane.core.discovery.publication import Publication, pack, unpack
from directlane.core.discovery.who_asks import WhoAsked, this_process


@contextmanager
def world_of(processes: int) -> Generator[World]:
    world = World(1)
    world.plane.slow = 0.0
    for number in range(processes):
        world.start(["q"]).link.who = f"host, process {number}"
    world.run(10.0)
    try:
        yield world
    finally:
        world.close()


def asked(world: World) -> list[WhoAsked]:
    records = [process.pollers["q"].asked for process in world.living]
    return [record for record in records if record is not None]


def about_asking(caplog: pytest.LogCaptureFixture) -> list[str]:
    texts = [record.getMessage() for record in caplog.records if record.levelno == logging.INFO]
    return [text.split(": ", 1)[1] for text in texts if "this process asks" in text]


def test_all_know_who_asks_and_since_when() -> None:
    with world_of(3) as world:
        (leader,) = [number for number, process in enumerate(world.living) if process.leads("q")]
        known = asked(world)
        assert [record.is_own for record in known] == [number == leader for number in range(3)]
        assert {record.who for record in known} == {f"host, process {leader}"}
        assert all(record.since is not None and 1000.0 <= record.since <= record.at for record in known)


def test_each_change_is_one_line_at_each_end(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "directlane.discovery")
    with world_of(2) as world:
        first, second = sorted(world.living, key=lambda process: not process.leads("q"))
        assert about_asking(caplog) == [f"this process asks now, for all that share {first.link.store}"]
        first.is_stopped = True
        world.run(30.0)
        first.is_stopped = False
        world.run(30.0)
        assert second.leads("q")
        assert about_asking(caplog)[1:] == [
            f"this process asks now, for all that share {first.link.store}",
            f"this process asks no longer: {second.link.who} does, through {first.link.store}",
        ]


def test_lease_that_goes_round_while_all_is_down_is_not_told(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "directlane.discovery")
    with world_of(3) as world:
        before = len(about_asking(caplog))
        leaders = set[str]()
        for process in world.living:
            process.is_off_cloud = True
        for _ in range(60):
            world.run(5.0)
            leaders |= {process.link.who for process in world.living if process.leads("q")}
        assert len(leaders) > 1
        assert len(about_asking(caplog)) == before


def test_who_asks_for_itself_says_so() -> None:
    with world_of(2) as world:
        world.is_store_down = True
        world.run(60.0)
        assert all(record.is_own and record.since is None for record in asked(world))
        world.is_store_down = False
        world.run(30.0)
        assert sorted(record.is_own for record in asked(world)) == [False, True]
        assert all(record.since is not None for record in asked(world))


def test_process_has_a_name_for_people() -> None:
    assert unpack(pack(Publication(b"", who=this_process()))).who == this_process()
    assert this_process().rpartition(" ")[2].isdigit()


@pytest.mark.parametrize("name", ["a\x1b[31m", "x" * 201])
def test_name_that_is_none_is_not_shown(name: str) -> None:
    assert unpack(pack(Publication(b"", who=name))).who == ""
