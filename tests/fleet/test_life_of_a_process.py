"""What happens to leases when a process ends, forks, or is told to share elsewhere."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from discovery_lab import Ask, ControlPlane, quick

import directlane
from directlane import ConfigError
from directlane.core.config.load import load_data
from directlane.core.discovery.saved_list import question_name
from directlane.core.discovery.sharing import shared_identity
from directlane.core.interfaces.store import Lease
from directlane.core.stores.sqlite_store import SqliteStore

SUPPORT = Path(__file__).parents[1] / "support"

HEAD = """
import os, sys, time
from pathlib import Path
from discovery_lab import Ask, Told, quick
from directlane.core.discovery.hub import DiscoveryHub, process_hub
from directlane.core.stores.sqlite_store import SqliteStore
url, store = sys.argv[1], SqliteStore(Path(sys.argv[2]))
hub = process_hub()
share = hub.subscribe("svc", Ask(url), quick(interval=0.2, timeout=10.0), Told(), store)
assert share.wait_ready(30)
"""


@pytest.fixture
def plane() -> Iterator[ControlPlane]:
    yield from ControlPlane.running("10.0.0.1", "10.0.0.2")


def run(script: str, plane: ControlPlane, path: Path) -> None:
    """Run a script; it must end with status 0 and without a word."""
    search = os.pathsep.join([str(SUPPORT), *filter(None, [os.environ.get("PYTHONPATH")])])
    words = [sys.executable, "-c", HEAD + textwrap.dedent(script), plane.url, str(path)]
    done = subprocess.run(
        words, capture_output=True, text=True, timeout=60, env={**os.environ, "PYTHONPATH": search}, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_program_that_ends_without_close_gives_its_lease_back(plane: ControlPlane, tmp_path: Path) -> None:
    path = tmp_path / "store" / "s.sqlite"
    run("", plane, path)
    store, name = SqliteStore(path), question_name(shared_identity(Ask(plane.url), quick()))
    assert name is not None
    assert store.read(name) is not None, "it was the leader"
    assert isinstance(store.lease(name, "another", 1.0), Lease)
    store.close()


def test_program_that_ends_with_its_lease_in_the_hand_of_a_hanging_store_ends(
    plane: ControlPlane, tmp_path: Path
) -> None:
    script = """
    import threading
    SqliteStore.lease = lambda *words: time.sleep(60)
    time.sleep(1.5)
    """
    run(script, plane, tmp_path / "store" / "s.sqlite")


def test_child_of_a_fork_is_somebody_else_and_reads_what_the_parent_publishes(
    plane: ControlPlane, tmp_path: Path
) -> None:
    script = """
    mine = {link.holder for link in hub._links.values()}
    child = os.fork()
    if child == 0:
        try:
            assert hub._links == {}
            other = hub.subscribe("svc", Ask(url), quick(interval=0.2, timeout=10.0), Told(), store)
            assert other.wait_ready(10)
            assert {link.holder for link in hub._links.values()}.isdisjoint(mine)
            assert other.wait_served(other.ask_soon(), 10)
            other.release()
        except BaseException as error:
            print("child:", repr(error), flush=True)
            os._exit(1)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert share.wait_served(share.ask_soon(), 10), "the parent goes on"
    share.release()
    """
    run(script, plane, tmp_path / "store" / "s.sqlite")


def test_reload_that_changes_the_store_is_refused(tmp_path: Path) -> None:
    routes = {"s": {"routes": [{"provider": "static", "addresses": ["http://10.0.0.1:80"]}]}}

    def config(store: str | None) -> Mapping[str, object]:
        return {"services": routes} | ({} if store is None else {"store": store})

    with directlane.Client.from_data(config(f"sqlite:{tmp_path}/one/s.sqlite")) as client:
        client.reload(load_data(config(f"sqlite:{tmp_path}/one/s.sqlite"), source="again", environment={}))
        for other in (None, f"sqlite:{tmp_path}/two/s.sqlite"):
            with pytest.raises(ConfigError, match="`store` cannot be changed while the program runs"):
                client.reload(load_data(config(other), source="other", environment={}))
