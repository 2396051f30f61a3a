"""One file, several real processes."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

from directlane.core.interfaces.discovery import RateBudget
from directlane.core.interfaces.store import Lease
from directlane.core.stores.sqlite_store import SqliteStore

HEAD = """
import sys
from pathlib import Path
from directlane.core.interfaces.discovery import RateBudget
from directlane.core.interfaces.store import Lease, Permit
from directlane.core.stores.sqlite_store import SqliteStore
store = SqliteStore(Path(sys.argv[1]))
"""


def start(script: str, path: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", HEAD + textwrap.dedent(script), str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_processes_that_start_together_share_one_budget_and_one_lease(path: Path) -> None:
    script = """
    print("here", flush=True)
    sys.stdin.readline()
    lease = store.lease("q", sys.stdin.readline().strip(), 600)
    got = [store.take((RateBudget("user", 20, 600.0),), 5) for _ in range(10)]
    print(sum(isinstance(one, Permit) for one in got), isinstance(lease, Lease))
    """
    workers = [start(script, path) for _ in range(6)]
    for worker in workers:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "here\n"
    for number, worker in enumerate(workers):
        assert worker.stdin is not None
        worker.stdin.write(f"go\n{number}\n")
        worker.stdin.flush()
    answers = [worker.communicate(timeout=60)[0].split() for worker in workers]
    assert [worker.returncode for worker in workers] == [0] * 6
    assert sum(int(count) for count, _ in answers) == 20
    assert [leads for _, leads in answers].count("True") == 1


def test_lease_of_a_killed_process_ends_and_what_it_spent_stays_spent(path: Path) -> None:
    script = """
    assert isinstance(store.lease("q", "killed", 0.5), Lease)
    assert isinstance(store.take((RateBudget("user", 1, 600.0),), 5), Permit)
    print("held", flush=True)
    sys.stdin.readline()
    """
    worker = start(script, path)
    with worker:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "held\n"
        worker.kill()
    store = SqliteStore(path)
    from_lease = store.lease("q", "next", 600)
    while not isinstance(from_lease, Lease):
        assert from_lease <= 0.5
        from_lease = store.lease("q", "next", 600)
    assert from_lease.fence == 2
    wait = store.take((RateBudget("user", 1, 600.0),), 5)
    assert isinstance(wait, float)
    assert 500 < wait <= 605
    store.close()


def test_child_opens_the_file_for_itself(path: Path) -> None:
    script = """
    import os
    assert isinstance(store.lease("q", "parent", 600), Lease)
    child = os.fork()
    if child == 0:
        held = store.lease("q", "child", 600)
        os._exit(0 if isinstance(held, float) and isinstance(store.lease("r", "child", 600), Lease) else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert isinstance(store.lease("r", "parent", 600), float)
    assert isinstance(store.lease("q", "parent", 600), Lease)
    store.close()
    """
    worker = start(script, path)
    worker.communicate(timeout=60)
    assert worker.returncode == 0
    assert [file.name for file in path.parent.iterdir()] == ["store.sqlite"], (
        "the last to leave folds the log into the file"
    )


def test_fork_in_the_middle_of_a_call_of_another_thread_leaves_the_child_well(path: Path) -> None:
    script = """
    import os, signal, threading
    is_over = threading.Event()

    def work():
        while not is_over.is_set():
            store.lease("q", "parent", 600)

    thread = threading.Thread(target=work)
    thread.start()
    statuses = []
    for number in range(30):
        child = os.fork()
        if child == 0:
            signal.alarm(30)  # a lock of SQLite that stays closed hangs
            os._exit(0 if isinstance(store.lease(f"r{number}", "child", 600), Lease) else 1)
        statuses.append(os.waitpid(child, 0)[1])
    is_over.set()
    thread.join()
    assert statuses == [0] * 30, statuses
    """
    worker = start(script, path)
    worker.communicate(timeout=120)
    assert worker.returncode == 0


def test_log_stays_for_a_child_when_its_parent_closes(path: Path) -> None:
    script = """
    import os
    assert isinstance(store.lease("q", "parent", 600), Lease)
    (told, tell), (closed, close) = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        os.close(close)
        assert isinstance(store.lease("r", "child", 600), Lease)
        os.write(tell, b"open")
        os.read(closed, 1)  # returns at the end of the parent's pipe
        os._exit(0 if isinstance(store.lease("r", "child", 600), Lease) else 1)
    os.read(told, 4)
    store.close()
    log = Path(f"{store.path}-wal")
    is_there = log.exists()
    os.close(close)
    assert os.waitpid(child, 0)[1] == 0
    assert is_there, "SQLite took the child for nobody, and the log away under it"
    """
    worker = start(script, path)
    worker.communicate(timeout=60)
    assert worker.returncode == 0
