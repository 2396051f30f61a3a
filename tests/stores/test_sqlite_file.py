"""The file of the SQLite store: whose it is, what happens when it goes, and what a boot does."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from store_lab import HostClock

from directlane.core.interfaces.discovery import RateBudget
from directlane.core.interfaces.store import Lease, Permit, StoreRefused, StoreUnavailable
from directlane.core.stores.sqlite_store import SqliteStore

USER = RateBudget("user", 2, 60.0)


@pytest.fixture
def store(path: Path, clock: HostClock) -> Iterator[SqliteStore]:
    made = SqliteStore(path, clock)
    yield made
    made.close()


def saved_list(store: SqliteStore, data: bytes = b"list") -> Lease:
    lease = store.lease("q", "a", 10)
    assert isinstance(lease, Lease)
    assert store.publish(lease, data)
    return lease


# --- whose it is ------------------------------------------------------------------------------------------------------


def test_nothing_is_made_before_the_first_use(store: SqliteStore, path: Path) -> None:
    assert not path.parent.exists()
    assert store.read("q") is None
    assert path.exists()


def test_folder_and_all_files_are_private_whatever_the_umask(store: SqliteStore, path: Path) -> None:
    before = os.umask(0)
    try:
        saved_list(store)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    files = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    assert files == {"store.sqlite": 0o600, "store.sqlite-wal": 0o600, "store.sqlite-shm": 0o600}


@pytest.mark.parametrize(("rights", "is_refused"), [(0o777, True), (0o720, True), (0o755, False), (0o700, False)])
def test_folder_that_others_can_write_to_is_refused(
    store: SqliteStore, path: Path, rights: int, is_refused: bool
) -> None:
    path.parent.mkdir()
    path.parent.chmod(rights)
    if is_refused:
        with pytest.raises(StoreRefused, match=r"so that others can use it\. Next: run `chmod go-rwx`"):
            store.read("q")
    else:
        assert store.read("q") is None


def test_file_that_others_can_read_is_refused(store: SqliteStore, path: Path) -> None:
    saved_list(store)
    store.close()
    path.chmod(0o644)
    with pytest.raises(StoreRefused, match="has the rights 0644"):
        store.read("q")
    path.chmod(0o600)
    assert store.read("q") is not None, "it is looked at again"


def test_file_of_another_user_is_refused(store: SqliteStore, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved_list(store)
    store.close()
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)  # a test cannot make a file of another user
    with pytest.raises(StoreRefused, match="belongs to another user"):
        store.read("q")


def test_link_is_refused_wherever_it_points(store: SqliteStore, path: Path, tmp_path: Path) -> None:
    path.parent.mkdir(mode=0o700)
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreRefused, match="is not a plain file"):
        store.read("q")
    assert not (tmp_path / "elsewhere").exists()


def test_folder_in_the_place_of_the_file_is_refused(store: SqliteStore, path: Path) -> None:
    path.mkdir(parents=True, mode=0o700)
    with pytest.raises(StoreRefused, match="is not a plain file"):
        store.read("q")


def test_damaged_file_is_refused_and_a_new_one_serves(store: SqliteStore, path: Path) -> None:
    path.parent.mkdir(mode=0o700)
    path.touch(mode=0o600)
    path.write_bytes(b"this is no database " * 100)
    with pytest.raises(StoreRefused, match=r"is damaged, or not ours.*Next: delete it"):
        store.read("q")
    path.unlink()
    assert store.read("q") is None


@pytest.mark.parametrize("size", [100, 4096, 100_000])
def test_file_of_random_bytes_is_refused(store: SqliteStore, path: Path, size: int) -> None:
    path.parent.mkdir(mode=0o700)
    path.touch(mode=0o600)
    path.write_bytes(Random(size).randbytes(size))
    for _ in range(2):
        with pytest.raises(StoreRefused, match=r"is damaged, or not ours.*Next: delete it"):
            store.lease("q", "a", 10)


def test_damaged_page_is_refused_and_gives_no_list(store: SqliteStore, path: Path) -> None:
    saved_list(store, b"list of endpoints " * 2000)
    store.close()
    whole = path.read_bytes()
    for page in range(1, len(whole) // 4096):
        with path.open("r+b") as file:
            file.seek(page * 4096)
            file.write(Random(page).randbytes(4096))
    outcomes: set[str] = set()
    for ask in (lambda: store.read("q"), lambda: store.lease("q", "b", 10), lambda: store.take([USER], 5)):
        with pytest.raises(StoreUnavailable) as caught:
            ask()
        outcomes.add(type(caught.value).__name__)
    assert outcomes == {"StoreRefused"}


def test_nothing_of_a_list_is_believed_after_one_of_its_pages_was_changed(store: SqliteStore, path: Path) -> None:
    data = b"10.0.0.1 " * 5000
    saved_list(store, data)
    store.close()
    whole = path.read_bytes()
    place = whole.rindex(b"10.0.0.1 10.0.0.1")
    path.write_bytes(whole[:place] + b"6.6.6.6. " + whole[place + 9 :])
    with pytest.raises(StoreRefused, match=r"is damaged"):
        store.read("q")


@pytest.mark.parametrize(
    "statement", ["CREATE TABLE other (x)", "PRAGMA user_version = 99", "PRAGMA application_id = 1"]
)
def test_database_of_somebody_else_or_another_form_is_refused(store: SqliteStore, path: Path, statement: str) -> None:
    path.parent.mkdir(mode=0o700)
    path.touch(mode=0o600)
    db = sqlite3.connect(path)
    db.execute(statement)
    db.commit()
    db.close()
    with pytest.raises(StoreRefused, match="is not a store of this version of directlane"):
        store.read("q")


# --- when it goes -----------------------------------------------------------------------------------------------------


def test_deleted_file_is_noticed_and_no_query_goes_for_one_window(
    store: SqliteStore, path: Path, clock: HostClock
) -> None:
    assert isinstance(store.take((USER,), 5), Permit)
    clock.move(3)
    for file in list(path.parent.iterdir()):
        file.unlink()
    path.parent.rmdir()
    assert store.read("q") is None, "made anew"
    assert store.take((USER,), 5) == pytest.approx(65), "one may have been under way"
    assert store.spent(USER) == USER.limit
    clock.move(65)
    assert store.spent(USER) == 0
    assert isinstance(store.take((USER,), 5), Permit)


def test_two_processes_that_lose_their_file_meet_in_the_new_one(path: Path, clock: HostClock) -> None:
    one, two = SqliteStore(path, clock), SqliteStore(path, clock)
    assert isinstance(one.lease("q", "one", 10), Lease)
    assert two.lease("q", "two", 10) == pytest.approx(10)
    path.unlink()
    assert isinstance(two.lease("q", "two", 10), Lease)
    assert one.lease("q", "one", 10) == pytest.approx(10)
    one.close()
    two.close()


@pytest.mark.parametrize("gone", [["-shm"], ["-wal"], ["-wal", "-shm"]])
def test_file_that_lost_its_log_is_made_anew_for_all_of_its_processes(path: Path, gone: list[str]) -> None:
    script = """
    import sys
    from pathlib import Path
    from directlane.core.interfaces.discovery import RateBudget
    from directlane.core.interfaces.store import Permit
    from directlane.core.stores.sqlite_store import SqliteStore
    store = SqliteStore(Path(sys.argv[1]))
    for line in sys.stdin:
        print(isinstance(store.take([RateBudget("user", 2, 600.0)], 5), Permit), flush=True)
    """
    words = [sys.executable, "-c", textwrap.dedent(script), str(path)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdin is not None
        assert other.stdout is not None

        def other_takes() -> str:
            assert other.stdin is not None
            assert other.stdout is not None
            other.stdin.write("take\n")
            other.stdin.flush()
            return other.stdout.readline().strip()

        store = SqliteStore(path)
        assert isinstance(store.take([RateBudget("user", 2, 600.0)], 5), Permit)
        assert other_takes() == "True"
        for ending in gone:
            Path(f"{path}{ending}").unlink()
        assert isinstance(store.take([RateBudget("user", 2, 600.0)], 5), float), "nobody knows what was spent"
        assert other_takes() == "False"
        assert isinstance(store.lease("q", "a", 600), Lease), "it works"
        store.close()
        other.stdin.close()
    assert other.returncode == 0


def test_lease_of_the_old_file_publishes_nothing_in_the_new_one(store: SqliteStore, path: Path) -> None:
    old = saved_list(store)
    path.unlink()
    assert isinstance(store.lease("q", "b", 10), Lease)
    assert not store.publish(old, b"old")


def test_place_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match=r"no/folder/store.sqlite: No such file.*Next: look at the folder"):
        SqliteStore(tmp_path / "no" / "folder" / "store.sqlite").read("q")


def test_full_disk_is_told_and_what_was_saved_stays(path: Path) -> None:
    script = """
    import resource, sys
    from pathlib import Path
    from directlane.core.interfaces.store import StoreRefused, StoreUnavailable
    from directlane.core.stores.sqlite_store import SqliteStore
    store = SqliteStore(Path(sys.argv[1]))
    lease = store.lease("q", "a", 600)
    assert store.publish(lease, b"small")
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
    for _ in range(3):
        try:
            store.publish(lease, b"x" * 1_000_000)
        except StoreRefused:
            raise
        except StoreUnavailable as error:
            assert "store.sqlite" in str(error)
        else:
            raise AssertionError("it was written?")
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert store.read("q").data == b"small"
    assert store.publish(lease, b"there is room again")
    assert store.read("q").data == b"there is room again"
    store.close()
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(script), str(path)], check=True, timeout=60)


# --- the log ----------------------------------------------------------------------------------------------------------


def test_only_the_change_that_nobody_waits_for_folds_the_log_into_the_file(
    store: SqliteStore, path: Path, clock: HostClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("directlane.core.stores.sqlite_store.FOLD_SOON", 20)
    saved_list(store, b"list")
    before = path.read_bytes()
    for _ in range(30):
        store.lease("q", "a", 10)
        store.take([USER], 5)
        store.publish(Lease("q", "a", 1), b"list")
    assert path.read_bytes() == before, "no call waited for the disk"
    store.attend("fleet", "a", 10)
    assert path.read_bytes() != before
    folded = path.read_bytes()
    for _ in range(30):
        clock.move(1)
        store.lease("q", "a", 10)
    assert path.read_bytes() == folded, "and the next ones do not wait either"


def test_lease_that_nobody_took_for_a_month_is_forgotten(store: SqliteStore, path: Path, clock: HostClock) -> None:
    old = store.lease("old", "a", 10)
    clock.move(31 * 86400)
    saved_list(store)
    store.close()
    db = sqlite3.connect(path)
    assert db.execute("SELECT name FROM lease").fetchall() == [("q",)]
    db.close()
    assert isinstance(old, Lease)
    assert not store.publish(old, b"late")


# --- a boot -----------------------------------------------------------------------------------------------------------


def test_after_a_boot_leases_are_free_and_lists_know_their_age(
    store: SqliteStore, path: Path, clock: HostClock
) -> None:
    saved_list(store)
    assert isinstance(store.take((USER,), 5), Permit)
    assert isinstance(store.take((USER,), 5), Permit)
    assert store.attend("q", "a", 1000) == 1
    store.close()
    clock.move(100)
    clock.reboot(off=200)
    after = SqliteStore(path, clock)
    saved = after.read("q")
    assert saved is not None
    assert saved.data == b"list"
    assert saved.age == pytest.approx(300)
    assert after.lease("q", "b", 10) == Lease("q", "b", 2)
    assert after.take((USER,), 5) == pytest.approx(60), "nobody knows how long the host was off: counted as spent now"
    assert after.attend("q", "b", 10) == 1
    clock.move(60)
    assert isinstance(after.take((USER,), 5), Permit)
    after.close()


def test_date_that_was_set_back_makes_no_age_below_0(store: SqliteStore, path: Path, clock: HostClock) -> None:
    saved_list(store)
    store.close()
    clock.reboot(off=-600)
    after = SqliteStore(path, clock)
    saved = after.read("q")
    assert saved is not None
    assert saved.age == 0
    after.close()


# --- where it is ------------------------------------------------------------------------------------------------------


def test_default_place_is_the_runtime_directory_of_the_user(tmp_path: Path) -> None:
    there = SqliteStore.open("", {"XDG_RUNTIME_DIR": str(tmp_path)})
    assert there.path == tmp_path / "directlane" / "store.sqlite"
    without = SqliteStore.open("", {})
    assert without.path.parent.name == f"directlane-{os.geteuid()}"
    assert SqliteStore.open(str(tmp_path / "x"), {}).path == tmp_path / "x"


def test_path_must_be_absolute() -> None:
    with pytest.raises(ValueError, match="'x/y' is not an absolute path; write one, such as"):
        SqliteStore.open("x/y", {})
