"""Keeps one processor from going to sleep, at the lowest priority there is.

    python benchmarks/awake.py NUMBER

To wake a halted virtual processor may take 100 µs, and whether it had halted is chance: enough to hide what is
measured. This process gives way to everything else (SCHED_IDLE, Linux only). It ends when its standard input closes.
"""

from __future__ import annotations

import os
import select
import sys


def main() -> None:
    """Spin."""
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    os.sched_setaffinity(0, {int(sys.argv[1])})
    while not select.select([sys.stdin], [], [], 0)[0]:
        for _ in range(100_000):
            pass


if __name__ == "__main__":
    main()
