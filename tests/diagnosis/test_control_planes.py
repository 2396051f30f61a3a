"""What the doctor says of control planes: both emulated clouds, well and broken."""

from __future__ import annotations

import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from doctor_lab import examined, one_route

from directlane import Client, load_data
from directlane.core.discovery.link import FLEET
from directlane.core.emulation import HANG
from directlane.core.interfaces.emulator import ControlFault
from directlane.providers.alibaba_eas.emulator import EasEmulator
from directlane.providers.huawei_modelarts.emulator import ModelArtsEmulator


@pytest.fixture
def eas() -> Iterator[EasEmulator]:
    with EasEmulator(2) as cloud:
        yield cloud


@pytest.fixture
def modelarts() -> Iterator[ModelArtsEmulator]:
    with ModelArtsEmulator(2) as cloud:
        yield cloud


Cloud = EasEmulator | ModelArtsEmulator


@pytest.fixture(params=["eas", "modelarts"])
def cloud(request: pytest.FixtureRequest) -> Cloud:
    made: Cloud = request.getfixturevalue(request.param)
    return made


def look(cloud: Cloud, folder: Path, *, change: dict[str, object] | None = None, **service: Any) -> Any:
    route = {**cloud.route(), **(change or {})}
    return examined(one_route(route, **service), folder, **cloud.environment)


def test_cloud_that_is_well_has_no_finding_to_mend_and_is_asked_once(cloud: Cloud, tmp_path: Path) -> None:
    told = look(cloud, tmp_path)
    assert told.bad == []
    assert told.exit_code == 0
    assert told.one("list-found")["found"] == "2 endpoints"
    assert told.codes.count("http-answered") == 2
    queries = cloud.discovery_queries if isinstance(cloud, EasEmulator) else len(cloud.list_queries)
    assert queries == 1


def test_two_services_that_ask_the_same_are_asked_for_once(eas: EasEmulator, tmp_path: Path) -> None:
    text = one_route(eas.route())
    told = examined(text + text.replace("services.scorecard", "services.twin"), tmp_path, **eas.environment)
    assert told.codes.count("list-found") == 2
    assert eas.discovery_queries == 1


def test_one_service_can_be_chosen(eas: EasEmulator, tmp_path: Path) -> None:
    text = one_route(eas.route())
    both = text + text.replace("services.scorecard", "services.twin")
    told = examined(both, tmp_path, "--service", "twin", **eas.environment)
    assert {finding["service"] for finding in told.findings} == {None, "twin"}


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (ControlFault.ERROR_500, "list-refused"),
        (ControlFault.NOT_FOUND, "list-refused"),
        (ControlFault.HTML, "list-unreadable"),
        (ControlFault.HALF_JSON, "list-unreadable"),
    ],
)
def test_answer_that_is_of_no_use_is_told(cloud: Cloud, tmp_path: Path, fault: ControlFault, code: str) -> None:
    cloud.break_control_plane(fault)
    told = look(cloud, tmp_path)
    if fault is ControlFault.NOT_FOUND and isinstance(cloud, ModelArtsEmulator):
        code = "credential-refused"  # the login comes first, and breaks in the same way
    found = told.one(code)
    assert found["level"] == "problem"
    assert found["cause"]
    assert found["next"]
    assert told.exit_code == 1


def test_list_without_entries_is_a_problem_with_the_vendors_words(cloud: Cloud, tmp_path: Path) -> None:
    for instance in list(cloud.instances):
        cloud.remove_instance(instance)
    found = look(cloud, tmp_path).one("list-empty")
    words = "group.service" if isinstance(cloud, EasEmulator) else "dedicated resource pool"
    assert words in found["advice"]


def test_control_plane_that_hangs_is_told(cloud: Cloud, tmp_path: Path) -> None:
    cloud.break_control_plane(ControlFault.HANG)
    told = look(cloud, tmp_path, discovery={"timeout": "1s"})
    found = told.one("control-plane-timeout")
    assert found["found"].startswith("no answer within")
    assert "security group" in found["cause"]
    assert told.one("list-not-asked")["level"] == "problem"


def test_control_plane_where_nobody_listens_is_told(eas: EasEmulator, tmp_path: Path) -> None:
    text = one_route(eas.route())
    eas.stop()
    told = examined(text, tmp_path, **eas.environment)
    assert told.one("control-plane-refused")["cause"] == "the host is there, and nobody listens at this port"
    assert told.one("list-not-asked")["level"] == "problem"


def test_name_outside_its_network_is_told_with_the_region(eas: EasEmulator, tmp_path: Path) -> None:
    told = look(eas, tmp_path, change={"discovery_host": "123.vpc.cn-nowhere.pai-eas.invalid"})
    found = told.one("name-missing")
    assert "exists only inside its network (VPC)" in found["cause"]
    assert "vpc_gateway" in found["advice"]
    assert told.one("list-not-asked")["level"] == "problem"


def test_name_that_has_an_address_is_told(eas: EasEmulator, tmp_path: Path) -> None:
    port = eas.host.rpartition(":")[2]
    found = look(eas, tmp_path, change={"discovery_host": f"localhost:{port}"}).one("name-found")
    assert found["about"] == "localhost"
    assert "127.0.0.1" in found["found"] or "::1" in found["found"]


# --- credentials ------------------------------------------------------------------------------------------------------


def test_wrong_token_of_eas_is_found_at_its_instances(eas: EasEmulator, tmp_path: Path) -> None:
    told = examined(one_route(eas.route()), tmp_path, **dict.fromkeys(eas.environment, "wrong-token-value"))
    assert told.codes.count("http-unauthorized") == 2
    assert "PAI console" in told.findings[told.codes.index("http-unauthorized")]["advice"]
    assert "wrong-token-value" not in told.text


def test_refused_login_is_told_in_the_providers_words_and_without_the_password(
    modelarts: ModelArtsEmulator, tmp_path: Path
) -> None:
    told = examined(
        one_route(modelarts.route()), tmp_path, **dict.fromkeys(modelarts.environment, "wrong-password-value")
    )
    found = told.one("credential-refused")
    assert "IAM refused the login" in found["found"]
    assert "programmatic access" in found["advice"]
    assert told.exit_code == 1
    assert "wrong-password-value" not in told.text


def test_expired_token_is_told(tmp_path: Path) -> None:
    with ModelArtsEmulator(1, credential="token") as cloud:
        cloud.ready_token = "another-token"
        told = look(cloud, tmp_path)
    assert {"credential-refused", "list-refused"} & set(told.bad)


def test_throttled_question_is_told(tmp_path: Path) -> None:
    with ModelArtsEmulator(1, user_limit=(1, 600.0)) as cloud:
        look(cloud, tmp_path)
        told = look(cloud, tmp_path)
    found = told.one("list-throttled")
    assert "20 questions for this list in a minute" in found["advice"]


# --- clocks and budgets -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ahead", "level", "text"),
    [
        (0.0, "ok", "agrees with the clock of this host"),
        (-200.0, "warning", "ahead"),
        (200.0, "warning", "behind"),
        (7200.0, "problem", "behind"),
    ],
)
def test_clock_is_compared_with_the_control_planes(
    modelarts: ModelArtsEmulator, tmp_path: Path, ahead: float, level: str, text: str
) -> None:
    modelarts.iam.ahead = ahead
    told = look(modelarts, tmp_path)
    found = told.one("clock-right" if level == "ok" else "clock-wrong")
    assert found["level"] == level
    assert text in found["found"]
    if level != "ok":
        assert "15 minutes" in found["cause"]
        assert "APIG.0301" in found["advice"]


def test_scarce_budget_is_noted_until_there_is_a_store(modelarts: ModelArtsEmulator, tmp_path: Path) -> None:
    quick: dict[str, Any] = {"discovery": {"interval": "30s"}}
    found = look(modelarts, tmp_path, **quick).one("budget-scarce")
    assert found["level"] == "note"
    assert "enough for 10 processes" in found["found"]
    assert "`store`" in found["next"]
    told = look(modelarts, tmp_path, top={"store": f"sqlite:{tmp_path}/run/s"}, **quick)
    assert told.codes.count("budget-shared") == 2
    assert "0 other processes share it" in told.findings[told.codes.index("budget-shared")]["found"]


def test_interval_that_no_budget_bears_is_a_warning(modelarts: ModelArtsEmulator, tmp_path: Path) -> None:
    found = look(modelarts, tmp_path, discovery={"interval": "1s"}).one("budget-scarce")
    assert found["level"] == "warning"
    assert "not enough for one process" in found["found"]


def test_question_is_not_asked_if_others_have_spent_the_budget(modelarts: ModelArtsEmulator, tmp_path: Path) -> None:
    store = {"store": f"sqlite:{tmp_path}/run/s"}
    for _ in range(20):
        look(modelarts, tmp_path, top=store)
    before = len(modelarts.list_queries)
    told = look(modelarts, tmp_path, top=store)
    assert told.one("budget-spent")["level"] == "warning"
    assert "nothing was asked" in told.one("budget-spent")["found"]
    assert len(modelarts.list_queries) == before


# --- instances of a cloud ---------------------------------------------------------------------------------------------


def test_instance_of_a_cloud_that_hangs_is_told(eas: EasEmulator, tmp_path: Path) -> None:
    eas.instances[0].set_fault(HANG)
    told = look(eas, tmp_path, timeout="500ms")
    assert told.one("http-timeout")["about"] == f"{eas.instances[0].host}:{eas.instances[0].port}"


def test_processes_that_share_the_store_are_counted(modelarts: ModelArtsEmulator, tmp_path: Path) -> None:
    place = f"sqlite:{tmp_path}/run/s"
    text = one_route(modelarts.route(), top={"store": place})
    config = load_data(tomllib.loads(text), source="test", environment=modelarts.environment)
    with Client(config) as client:
        assert client.service("scorecard").send(b"1").ok
        assert config.store is not None
        deadline = time.monotonic() + 30
        while config.store.attend(FLEET, "test", 0.001) < 2:
            assert time.monotonic() < deadline, "the client does not say that it is there"
        told = examined(text, tmp_path, **modelarts.environment)
    assert told.one("store-well")["found"] == "answers; 1 process shares it now"
