"""The file is looked at: what is read, what is kept, and when the next look is due. Real files, no clock."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from directlane.core.discovery.saved_list import question_name
from directlane.core.endpoint import Snapshot
from directlane.core.errors import DiscoveryError, DiscoveryUnreadable, Phase, TransportError
from directlane.core.interfaces import AddressSource, EmptyAnswer, LocalQuery, PollContext
from directlane.providers.file.discovery import FileDiscovery, FileState, read_if_changed
from directlane.providers.file.entries import Format


def look(
    discovery: FileDiscovery, previous: Snapshot | None = None, *, unix_time: float | None = None
) -> tuple[Snapshot, int]:
    """The list, and the status of the reply. The clock shows a time long after every change, unless told."""
    conversation = discovery.poll(PollContext(unix_time=4e9 if unix_time is None else unix_time, previous=previous))
    query = next(conversation)
    assert isinstance(query, LocalQuery)
    try:
        reply = query.run()
    except OSError as error:
        reply_error = TransportError(f"{query.what}: {error.strerror}", phase=Phase.WAIT)
        conversation.throw(reply_error)
        raise AssertionError from None
    with pytest.raises(StopIteration) as end:
        conversation.send(reply)
    snapshot: Snapshot = end.value.value
    return snapshot, reply.status


def hosts(snapshot: Snapshot) -> list[str]:
    return [endpoint.host for endpoint in snapshot.endpoints]


def replace(path: Path, text: str) -> None:
    new = path.with_name("new")
    new.write_text(text)
    new.replace(path)


def changed_at(path: Path) -> float:
    status = path.stat()
    return max(status.st_mtime_ns, status.st_ctime_ns) / 1e9


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "list.json"
    made.write_text('["10.0.0.1:80"]')
    return made


@pytest.fixture
def discovery(path: Path) -> FileDiscovery:
    return FileDiscovery(path, "json", 1.0)


def test_file_is_read_and_looked_at_again_soon(discovery: FileDiscovery) -> None:
    snapshot, status = look(discovery)
    assert (hosts(snapshot), status, snapshot.ask_again_in) == (["10.0.0.1"], 200, 1.0)


def test_file_that_did_not_change_is_not_read_again(discovery: FileDiscovery) -> None:
    first, _ = look(discovery)
    second, status = look(discovery, first)
    assert status == 304
    assert second == first


def test_file_that_has_changed_a_moment_ago_is_read_again(path: Path, discovery: FileDiscovery) -> None:
    first, _ = look(discovery)
    _, status = look(discovery, first, unix_time=changed_at(path) + 1.9)
    assert status == 200
    _, status = look(discovery, first, unix_time=changed_at(path) + 2.1)
    assert status == 304


def test_change_that_the_clock_of_the_files_does_not_show_is_seen(path: Path, discovery: FileDiscovery) -> None:
    first, _ = look(discovery)
    times = path.stat()
    path.write_text('["10.0.0.2:80"]')  # as long as before
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    second, _ = look(discovery, first, unix_time=times.st_mtime_ns / 1e9 + 0.1)
    assert hosts(second) == ["10.0.0.2"]


def test_file_renamed_into_its_place_is_believed_at_once(path: Path, discovery: FileDiscovery) -> None:
    first, _ = look(discovery)
    replace(path, '["10.0.0.2:80"]')
    assert hosts(look(discovery, first)[0]) == ["10.0.0.2"]


def test_link_that_is_turned_is_followed(tmp_path: Path) -> None:
    """As Kubernetes mounts a ConfigMap: list.json -> ..data/list.json, and ..data is replaced as a whole."""
    for version in ("one", "two"):
        (tmp_path / version).mkdir()
        (tmp_path / version / "list.json").write_text(f'["{version}:80"]')
        os.utime(tmp_path / version / "list.json", ns=(10**18, 10**18))
    (tmp_path / "..data").symlink_to("one")
    (tmp_path / "list.json").symlink_to("..data/list.json")
    discovery = FileDiscovery(tmp_path / "list.json", "json", 1.0)
    first, _ = look(discovery)
    (tmp_path / "..new").symlink_to("two")
    (tmp_path / "..new").replace(tmp_path / "..data")
    second, _ = look(discovery, first)
    assert (hosts(first), hosts(second)) == (["one"], ["two"])


@pytest.mark.parametrize("text", ["", '["10.0.0.1:80", "10.', "<html>", '{"a": 1}'])
def test_spoiled_file_is_a_failure_that_names_the_file(path: Path, discovery: FileDiscovery, text: str) -> None:
    first, _ = look(discovery)
    path.write_text(text)
    with pytest.raises(DiscoveryUnreadable, match=f"the file {path} cannot be used: it "):
        look(discovery, first)


def test_failure_is_seen_at_each_look_until_the_file_is_mended(path: Path, discovery: FileDiscovery) -> None:
    first, _ = look(discovery)
    path.write_text("")
    for _ in range(2):
        with pytest.raises(DiscoveryUnreadable):
            look(discovery, first)
    path.write_text('["10.0.0.1:80"]')
    assert hosts(look(discovery, first)[0]) == ["10.0.0.1"]


def test_vanished_file_is_a_failure_with_a_next_step(path: Path, discovery: FileDiscovery) -> None:
    path.unlink()
    with pytest.raises(DiscoveryError, match=r"list.json: No such file or directory\. Next: see that"):
        look(discovery)


def test_folder_and_pipe_are_refused_and_block_nobody(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for place in (tmp_path, pipe):
        with pytest.raises(DiscoveryError, match="is not a regular file"):
            look(FileDiscovery(place, "json", 1.0))


@pytest.mark.parametrize("form", ["yaml", "toml"])
def test_text_that_may_be_cut_off_is_believed_when_nobody_writes_any_more(tmp_path: Path, form: Format) -> None:
    path = tmp_path / "list"
    one, two = (f'endpoints{sign}["10.0.0.{n}:80"]' for n, sign in ((1, " = "), (2, " = ")))
    if form == "yaml":
        one, two = one.replace(" = ", ": "), two.replace(" = ", ": ")
    path.write_text(one)
    discovery = FileDiscovery(path, form, 5.0)
    first, _ = look(discovery)
    path.write_text(two)
    kept, _ = look(discovery, first, unix_time=changed_at(path) + 0.5)
    assert (hosts(kept), kept.ask_again_in) == (["10.0.0.1"], 1.0)
    assert hosts(look(discovery, kept, unix_time=changed_at(path) + 1.1)[0]) == ["10.0.0.2"]
    replace(path, one)
    assert hosts(look(discovery, first, unix_time=changed_at(path) + 0.1)[0]) == ["10.0.0.1"]


def test_a_file_from_the_future_is_believed(tmp_path: Path) -> None:
    path = tmp_path / "list.yaml"
    path.write_text("- 10.0.0.1:80")
    discovery = FileDiscovery(path, "yaml", 1.0)
    first, _ = look(discovery)
    path.write_text("- 10.0.0.2:80")
    assert hosts(look(discovery, first, unix_time=changed_at(path) - 3600)[0]) == ["10.0.0.2"]


def test_writer_that_renames_and_never_rests_is_never_seen_half(path: Path) -> None:
    """A real writer in another thread: each look finds a whole list, and none fails."""
    texts = [json.dumps([f"10.0.{n}.{host}:80" for host in range(200)]) for n in range(2)]
    replace(path, texts[0])
    ends = threading.Event()

    def write() -> None:
        while not ends.is_set():
            for text in texts:
                replace(path, text)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        discovery = FileDiscovery(path, "json", 1.0)
        for _ in range(200):
            snapshot, _ = look(discovery)
            assert len({endpoint.host.split(".")[2] for endpoint in snapshot.endpoints}) == 1
            assert len(snapshot.endpoints) == 200
    finally:
        ends.set()
        writer.join()


def test_the_file_is_the_users_own_and_each_process_looks_for_itself(path: Path, discovery: FileDiscovery) -> None:
    assert discovery.addresses is AddressSource.CONFIGURED
    assert discovery.empty_answer is EmptyAnswer.KEEP
    assert question_name(discovery.identity) is None
    assert discovery.identity == FileDiscovery(path, "json", 1.0).identity
    assert discovery.identity != FileDiscovery(Path("/other"), "json", 1.0).identity


@settings(deadline=None)  # the machine may be busy
@given(st.tuples(*[st.integers(0, 2**64)] * 5))
def test_state_survives_its_text(parts: tuple[int, int, int, int, int]) -> None:
    state = FileState(*parts)
    assert FileState.from_text(str(state)) == state


@settings(deadline=None)  # the machine may be busy
@given(st.text())
def test_any_version_is_a_state_or_none(text: str) -> None:
    FileState.from_text(text)


def test_reading_asks_the_system_once_if_nothing_changed(path: Path) -> None:
    state = FileState.of(path.stat())
    assert read_if_changed(path, state).status == 304
    assert read_if_changed(path, None).content == path.read_bytes()
