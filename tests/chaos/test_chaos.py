"""The whole engine in virtual time against a network, a control plane and a clock that cannot be trusted.

`--chaos-runs` tries more seeds than usual, `--chaos-first` other ones. A seed that fails names the command that shows
it again.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from chaos.mutants import MUTANTS, Mutant
from chaos.run import Failure, Figures, run
from chaos.settings import FAULTS, Course
from chaos.shrink import shrunk

_ROOT = Path(__file__).parents[2]

_RUNS = 240
"""Seeds that every run of the suite tries, in parts, so that several processes can share them."""
_PARTS = 8
_BOUND = 250
"""Seeds in which each mistake must be seen."""


@pytest.mark.parametrize("part", range(_PARTS))
def test_the_invariants_hold(part: int, request: pytest.FixtureRequest) -> None:
    runs: int = request.config.getoption("--chaos-runs", default=None) or _RUNS
    first: int = request.config.getoption("--chaos-first", default=None) or 0
    total = Figures()

    for seed in range(first + part, first + runs, _PARTS):
        total.add(run(Course(seed)))

    assert sum(total.ends.values()) == total.calls


def test_every_kind_of_trouble_comes_up() -> None:
    missing = set(FAULTS)
    for seed in range(300):
        missing -= set(+run(Course(seed)).faults)
        if not missing:
            return
    pytest.fail(f"never seen: {sorted(missing)}")


def test_a_seed_gives_one_course_of_events() -> None:
    one, other = run(Course(11)), run(Course(11))
    assert one == other


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_the_watch_sees_mistakes(mutant: Mutant) -> None:
    failure = _first_failure(mutant)
    assert failure.rule == mutant.rule


def test_a_failure_tells_its_story_and_how_to_see_it_again() -> None:
    mutant = next(mutant for mutant in MUTANTS if mutant.rule == "what may have run is not repeated")
    failure = _first_failure(mutant)
    assert f"python -m chaos --seed {failure.course.seed}" in str(failure)
    assert "BROKEN: what may have run is not repeated" in str(failure)
    assert ", attempt 1: " in str(failure)


def test_a_failing_run_is_made_shorter() -> None:
    mutant = next(mutant for mutant in MUTANTS if mutant.rule == "what may have run is not repeated")
    failure = _first_failure(mutant)
    with mutant.made():
        shorter = shrunk(failure, tries=60)
    assert shorter.rule == failure.rule
    assert shorter.course.size.calls < failure.course.size.calls or shorter.course.without


def test_the_command_shows_a_run() -> None:
    places = os.pathsep.join(str(_ROOT / place) for place in ("src", "tests/support"))
    done = subprocess.run(
        [sys.executable, "-m", "chaos", "--seed", "7", "--calls", "5"],
        env={**os.environ, "PYTHONPATH": places},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "5 calls" in done.stdout


def _first_failure(mutant: Mutant) -> Failure:
    with mutant.made():
        for seed in range(_BOUND):
            try:
                run(Course(seed))
            except Failure as failure:
                return failure
    pytest.fail(f"nobody has seen it in {_BOUND} seeds")
