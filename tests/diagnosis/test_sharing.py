"""What the doctor says of who asks, for all that share a store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from doctor_lab import Told, examined, one_route, static
from sharing_told import OTHER, told_by_another

from directlane.core.diagnosis.sharing_rules import asker_known, asker_none
from directlane.core.discovery.publication import Publication
from directlane.core.interfaces.finding import Level
from directlane.providers.huawei_modelarts.emulator import ModelArtsEmulator

ASKER = ("asker-known", "asker-gone", "asker-none", "asker-fails", "asker-unreadable")


@pytest.fixture(scope="module")
def cloud() -> Iterator[ModelArtsEmulator]:
    with ModelArtsEmulator(1) as made:
        yield made


@pytest.fixture
def text(cloud: ModelArtsEmulator, tmp_path: Path) -> str:
    return one_route(cloud.route(), top={"store": f"sqlite:{tmp_path}/run/s"})


def look(cloud: ModelArtsEmulator, text: str, folder: Path) -> Told:
    return examined(text, folder, **cloud.environment)


def test_who_asks_is_told_with_since_when(cloud: ModelArtsEmulator, text: str, tmp_path: Path) -> None:
    told_by_another(text, cloud.environment)
    found = look(cloud, text, tmp_path).one("asker-known")
    assert found["found"].startswith(f"{OTHER} asks for all, and has done so for 5m")
    assert found["about"] == f"sqlite:{tmp_path}/run/s"
    assert found["level"] == "ok"


def test_failure_of_who_asks_is_a_warning(cloud: ModelArtsEmulator, text: str, tmp_path: Path) -> None:
    told_by_another(text, cloud.environment, error="status 503 \x1b[31m. Next: wait")
    told = look(cloud, text, tmp_path)
    found = told.one("asker-fails")
    assert found["level"] == "warning"
    assert found["found"].endswith("status 503 [31m")
    assert told.exit_code == 0


def test_what_cannot_be_read_is_a_warning(cloud: ModelArtsEmulator, text: str, tmp_path: Path) -> None:
    told_by_another(text, cloud.environment, data=b"not ours")
    assert look(cloud, text, tmp_path).one("asker-unreadable")["level"] == "warning"


def test_nobody_asks_and_each_look_counts_in_the_budget(cloud: ModelArtsEmulator, text: str, tmp_path: Path) -> None:
    told = look(cloud, text, tmp_path)
    assert told.one("asker-none")["found"] == "nobody has asked this question through the store"
    shared = [finding["found"] for finding in told.findings if finding["code"] == "budget-shared"]
    assert [found.rpartition("; ")[2] for found in shared] == ["1 of 20 are used now", "1 of 2000 are used now"]
    again = [finding for finding in look(cloud, text, tmp_path).findings if finding["code"] == "budget-shared"]
    assert again[0]["found"].endswith("2 of 20 are used now")


def test_what_is_not_shared_has_no_such_line(tmp_path: Path) -> None:
    told = examined(f'store = "sqlite:{tmp_path}/run/s"\n{static("http://127.0.0.1:9")}', tmp_path)
    assert not set(told.codes) & set(ASKER)


def test_last_word_of_the_dead_is_known_as_such() -> None:
    found = asker_known("sqlite:/s", Publication(b"", error="away", led=9.0, who=OTHER), 7200.0, 0)
    assert (found.level, found.code) == (Level.OK, "asker-gone")
    assert found.found == f"nobody asks now; {OTHER} was the last, 2h ago"


def test_process_of_an_older_version_has_no_name() -> None:
    assert asker_known("sqlite:/s", Publication(b""), 1.0, None).found.startswith("a process of an older version asks")


def test_processes_that_do_not_ask_this_question_are_counted() -> None:
    assert "; 2 processes share it now" in asker_none("sqlite:/s", 2).found
