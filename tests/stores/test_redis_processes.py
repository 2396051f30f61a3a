"""One server, several real processes."""

from __future__ import annotations

import secrets
import subprocess
import sys
import textwrap

from redis_lab import RedisServer

SCRIPT = textwrap.dedent("""
    import sys
    from directlane.core.interfaces.discovery import RateBudget
    from directlane.core.interfaces.store import Lease, Permit
    from directlane.core.stores.redis_place import RedisPlace
    from directlane.core.stores.redis_store import RedisStore
    store = RedisStore(RedisPlace.from_url(sys.argv[1]), patience=60)
    print("here", flush=True)
    number = sys.stdin.readline().strip()
    lease = store.lease("q", number, 600)
    got = [store.take((RateBudget("user", 20, 600.0),), 5) for _ in range(10)]
    if isinstance(lease, Lease):
        assert store.publish(lease, number.encode())
    print(sum(isinstance(one, Permit) for one in got), isinstance(lease, Lease), store.attend("q", number, 600))
    store.close()
""")


def test_processes_that_start_together_share_one_budget_and_one_lease(shared_redis: RedisServer) -> None:
    url = f"{shared_redis.url}?prefix=t{secrets.token_hex(4)}"
    workers = [
        subprocess.Popen([sys.executable, "-c", SCRIPT, url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    for worker in workers:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "here\n"
    for number, worker in enumerate(workers):
        assert worker.stdin is not None
        worker.stdin.write(f"{number}\n")
        worker.stdin.flush()
    answers = [worker.communicate(timeout=100)[0].split() for worker in workers]
    assert [worker.returncode for worker in workers] == [0] * 4
    assert sum(int(count) for count, _, _ in answers) == 20
    assert [leads for _, leads, _ in answers].count("True") == 1
    assert max(int(there) for _, _, there in answers) == 4
