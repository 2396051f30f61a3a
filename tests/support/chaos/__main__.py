"""`python -m chaos --seed 7`: see one run again. `python -m chaos --runs 10000`: try many."""

from __future__ import annotations

import argparse
import sys
import time

from .run import Failure, Figures, run
from .settings import Course, Size
from .shrink import shrunk


def main() -> int:
    """Run seeds and tell what came of it."""
    parser = argparse.ArgumentParser(prog="python -m chaos", description=__doc__)
    parser.add_argument("--seed", type=int, help="run this seed only")
    parser.add_argument("--runs", type=int, default=1000, help="how many seeds (default: 1000)")
    parser.add_argument("--first", type=int, default=0, help="the first of them (default: 0)")
    parser.add_argument("--calls", type=int, default=Size().calls, help="calls of a run at most")
    parser.add_argument("--seconds", type=float, default=Size().seconds, help="time in which they come")
    parser.add_argument("--without", default="", help="faults to leave out, with commas between")
    parser.add_argument("--shrink", action="store_true", help="look for a shorter run that fails in the same way")
    parser.add_argument("--keep-going", action="store_true", help="count the seeds that fail")
    given = parser.parse_args()
    size = Size(given.calls, given.seconds)
    without = frozenset(name for name in given.without.split(",") if name)
    seeds = [given.seed] if given.seed is not None else range(given.first, given.first + given.runs)
    total, failed, began = Figures(), 0, time.process_time()
    for seed in seeds:
        try:
            total.add(run(Course(seed, size, without)))
        except Failure as failure:
            failed += 1
            if given.keep_going:
                print(f"seed {seed}: {failure.rule}: {failure.story[-1]}")
                continue
            print(shrunk(failure) if given.shrink else failure)
            return 1
    spent = time.process_time() - began
    print(f"{total.runs} runs, {total.steps} steps, {total.calls} calls, {total.attempts} attempts")
    print(f"{total.seconds:.0f} simulated seconds in {spent:.1f} s of CPU")
    print("calls ended:", ", ".join(f"{name} {count}" for name, count in total.ends.most_common()))
    print("faults:", ", ".join(f"{name} {count}" for name, count in total.faults.most_common()))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
