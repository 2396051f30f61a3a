"""What each command shows when everything is well."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from cli_lab import Lab, run
from click.testing import Result
from sharing_told import OTHER, told_by_another

from directlane import __version__
from directlane.core.emulation import NONE, Status


def as_json(result: Result) -> Any:
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def test_the_version_is_told() -> None:
    assert run("--version").stdout == f"directlane {__version__}\n"


COMMANDS = (
    "demo",
    "check",
    "doctor",
    "endpoints",
    "call",
    "providers",
    "balancers",
    "transports",
    "stores",
    "schema",
    "emulate",
    "simulate",
    "new",
)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("option", ["-h", "--help"])
def test_every_help_has_an_example(command: str, option: str) -> None:
    result = run(command, option)
    assert result.exit_code == 0
    assert f"  directlane {command}" in result.stdout


def test_without_a_command_the_help_is_shown() -> None:
    assert run().exit_code == 0
    assert run().stdout == run("-h").stdout


class TestCheck:
    def test_shows_services_and_routes(self, lab: Lab) -> None:
        result = lab.run("check", "-c", str(lab.file))
        assert result.exit_code == 0
        assert "scorecard" in result.stdout
        assert "alibaba_eas" in result.stdout
        assert "${EMULATED_EAS_TOKEN}" in result.stdout

    def test_as_json(self, lab: Lab) -> None:
        facts = as_json(lab.run("check", "-c", str(lab.file), "--json"))
        assert facts["config"] == str(lab.file)
        assert facts["warnings"] == []
        (service,) = facts["services"]
        assert service["name"] == "scorecard"
        assert service["balancer"] == "weighted_round_robin"
        assert service["calls"]["repeatable"] is True
        (route,) = service["routes"]
        assert route["provider"] == "alibaba_eas"
        assert route["settings"]["token"] == "${EMULATED_EAS_TOKEN}"

    def test_a_secret_in_clear_is_a_warning_and_is_not_shown(self, lab: Lab) -> None:
        text = lab.file.read_text().replace("${EMULATED_EAS_TOKEN}", "sesame-open-up")
        lab.file.write_text(text)
        shown = run("check", "-c", str(lab.file))
        assert shown.exit_code == 0
        assert "a secret stands here in clear" in shown.stdout
        facts = run("check", "-c", str(lab.file), "--json")
        assert "services.scorecard.routes[0].token" in as_json(facts)["warnings"][0]["path"]
        for result in (shown, facts):
            assert "sesame" not in result.output

    def test_asks_nobody(self, tmp_path: Path) -> None:
        file = tmp_path / "far.toml"
        route = 'provider = "alibaba_eas"\nservice = "s"\ndiscovery_host = "127.0.0.1:9"\n'
        file.write_text(f"[[services.s.routes]]\n{route}")
        assert run("check", "-c", str(file)).exit_code == 0

    def test_the_file_may_come_from_the_environment(self, lab: Lab) -> None:
        assert lab.run("check", DIRECTLANE_CONFIG=str(lab.file)).exit_code == 0

    def test_the_file_may_lie_in_the_working_directory(self, lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
        lab.file.rename(lab.file.with_name("directlane.toml"))
        monkeypatch.chdir(lab.file.parent)
        assert lab.run("check").exit_code == 0


class TestEndpoints:
    def test_shows_every_endpoint(self, lab: Lab) -> None:
        result = lab.run("endpoints", "-c", str(lab.file))
        assert result.exit_code == 0
        for instance in lab.instances:
            assert f"{instance.host}:{instance.port}" in result.stdout
        assert "ready" in result.stdout

    def test_as_json_for_one_service(self, lab: Lab) -> None:
        facts = as_json(lab.run("endpoints", "-c", str(lab.file), "scorecard", "--json"))
        (service,) = facts["services"]
        assert {each["url"] for each in service["endpoints"]} == {each.url for each in lab.instances}
        assert all(each["state"] == "ready" and each["list_age_s"] >= 0 for each in service["endpoints"])
        assert service["routes"][0]["discovery_failures"] == 0
        assert "error" not in facts

    def test_list_that_came_through_the_store_is_told_with_who_asked(self, lab: Lab, tmp_path: Path) -> None:
        text = f'store = "sqlite:{tmp_path}/run/s"\n{lab.file.read_text()}'
        lab.file.write_text(text)
        told_by_another(text, lab.environment)
        result = lab.run("endpoints", "-c", str(lab.file))
        assert f"the list came through sqlite:{tmp_path}/run/s: {OTHER} asked" in result.stdout
        assert "had been the one to ask for 5m" in result.stdout
        (service,) = as_json(lab.run("endpoints", "-c", str(lab.file), "--json"))["services"]
        shared = service["routes"][0]["shared"]
        assert (shared["asked_by"], shared["is_this_process"]) == (OTHER, False)
        assert shared["asks_for_s"] > 300 > shared["asked_ago_s"]

    def test_process_that_asks_for_all_says_so(self, lab: Lab, tmp_path: Path) -> None:
        lab.file.write_text(f'store = "sqlite:{tmp_path}/run/s"\n{lab.file.read_text()}')
        result = lab.run("endpoints", "-c", str(lab.file))
        assert f"this process asks, for all that share sqlite:{tmp_path}/run/s" in result.stdout

    def test_shows_slots_where_there_are_some(self, lab: Lab) -> None:
        assert "slots" not in lab.run("endpoints", "-c", str(lab.file)).stdout
        file = lab.file.with_name("slots.toml")
        file.write_text(
            "[services.svc]\nslots = { per_endpoint = 4, queue = 9 }\n"
            '[[services.svc.routes]]\nprovider = "static"\naddresses = ["http://127.0.0.1:9"]\n'
        )
        shown = lab.run("endpoints", "-c", str(file)).stdout
        assert "0/4" in shown
        assert "slots: 0 in use; queue: 0 of 9 places taken" in shown
        (service,) = as_json(lab.run("endpoints", "-c", str(file), "--json"))["services"]
        assert (service["endpoints"][0]["slots"], service["queue"]["queue"]) == (4, 9)

    def test_hides_the_token(self, lab: Lab) -> None:
        (token,) = lab.environment.values()
        for option in ((), ("--json",)):
            assert token not in lab.run("endpoints", "-c", str(lab.file), *option).output


class TestCall:
    def test_writes_the_body_and_nothing_else(self, lab: Lab) -> None:
        result = lab.run("call", "-c", str(lab.file), "scorecard", "/v1/x", "-d", "[1]")
        assert result.exit_code == 0
        reply = json.loads(result.stdout)
        assert reply["path"] == "/api/predict/scorecard/v1/x"
        assert (reply["method"], reply["bytes"]) == ("POST", 3)
        assert result.stderr == ""

    def test_bytes_come_through_as_they_are(self, lab: Lab) -> None:
        body = bytes(range(256))
        for instance in lab.instances:
            instance.set_fault(Status(200, body))
        try:
            result = lab.run("call", "-c", str(lab.file), "scorecard")
        finally:
            for instance in lab.instances:
                instance.set_fault(NONE)
        assert result.stdout_bytes == body

    def test_data_from_a_file_and_from_standard_input(self, lab: Lab, tmp_path: Path) -> None:
        content = bytes(range(256))
        (tmp_path / "body").write_bytes(content)
        from_file = lab.run("call", "-c", str(lab.file), "scorecard", "-d", f"@{tmp_path / 'body'}")
        from_input = lab.run("call", "-c", str(lab.file), "scorecard", "-d", "-", data=content)
        assert json.loads(from_file.stdout)["bytes"] == json.loads(from_input.stdout)["bytes"] == 256

    def test_method_headers_and_key(self, lab: Lab) -> None:
        stream = ("-H", "Accept: text/event-stream")
        result = lab.run("call", "-c", str(lab.file), "scorecard", "-X", "put", *stream, "--key", "user-7")
        assert result.exit_code == 0
        assert result.stdout.endswith("data: [DONE]\n\n")

    def test_without_data_it_is_a_get(self, lab: Lab) -> None:
        assert json.loads(lab.run("call", "-c", str(lab.file), "scorecard").stdout)["method"] == "GET"

    def test_include_writes_status_headers_and_endpoint_first(self, lab: Lab) -> None:
        result = lab.run("call", "-c", str(lab.file), "scorecard", "-i")
        head, _, body = result.stdout_bytes.decode().partition("\r\n\r\n")
        assert head.startswith("HTTP/1.1 200\r\n")
        assert "content-type: application/json" in head.lower()
        assert "Directlane-Endpoint: http://127.0.0.1:" in head
        assert json.loads(body)["method"] == "GET"

    def test_another_status_is_1_and_the_body_is_written(self, lab: Lab) -> None:
        result = lab.run("call", "-c", str(lab.file), "scorecard", EMULATED_EAS_TOKEN="not-the-right-one")
        assert result.exit_code == 1
        assert json.loads(result.stdout) == {"error": "the token is missing or not valid"}
        assert "status 401" in result.stderr
        assert "not-the-right-one" not in result.output

    def test_a_failure_on_the_wire_is_1(self, tmp_path: Path) -> None:
        file = tmp_path / "dead.toml"
        file.write_text('[[services.s.routes]]\nprovider = "static"\naddresses = ["http://127.0.0.1:9"]\n')
        result = run("call", "-c", str(file), "s", "-d", "x")
        assert result.exit_code == 1
        assert result.stdout == ""
        assert "failed in phase connect" in result.stderr
        assert "Traceback" not in result.output


class TestLists:
    def test_providers(self) -> None:
        facts = as_json(run("providers", "--json"))
        rows = {row["name"]: row for row in facts["providers"]}
        assert {"alibaba_eas", "huawei_modelarts", "static"} <= rows.keys()
        assert rows["alibaba_eas"]["has_emulator"] is True
        assert rows["alibaba_eas"]["from"].startswith("directlane ")
        assert facts["broken"] == []

    def test_balancers_and_transports(self) -> None:
        balancers = {row["name"]: row for row in as_json(run("balancers", "--json"))["balancers"]}
        assert balancers["consistent_hash"]["capabilities"] == ["affinity", "load", "weights"]
        assert balancers["sticky"]["capabilities"] == []
        transports = {row["name"]: row for row in as_json(run("transports", "--json"))["transports"]}
        assert transports["httpx"]["capabilities"] == ["async", "sync", "trio"]
        assert transports["aiohttp"]["capabilities"] == ["async"]

    def test_stores(self) -> None:
        rows = {row["name"]: row for row in as_json(run("stores", "--json"))["stores"]}
        assert rows.keys() >= {"memory", "sqlite"}
        assert rows["sqlite"]["schemes"] == []
        assert rows["sqlite"]["capabilities"] == ["lasting", "processes"]
        assert rows["memory"]["capabilities"] == []
        assert rows["sqlite"]["from"].startswith("directlane ")

    @pytest.mark.parametrize("command", ["providers", "balancers", "transports", "stores"])
    def test_as_a_table(self, command: str) -> None:
        result = run(command)
        assert result.exit_code == 0
        assert result.stdout.startswith("name")
        assert "capabilities" in result.stdout.partition("\n")[0]

    def test_distribution_that_forgot_its_entry_point_is_told(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        facts = tmp_path / "directlane_acme-1.2.dist-info"
        facts.mkdir()
        (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: directlane-acme\nVersion: 1.2\n")
        monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
        words = "! directlane-acme 1.2 is installed and brings nothing: it has no entry point of the group 'directlane'"
        assert words in run("providers").stdout
        (facts / "entry_points.txt").write_text("[directlane]\nacme = directlane.core.transports.plugin\n")
        assert "brings nothing" not in run("providers").stdout

    def test_names_stay_in_one_piece_on_a_narrow_terminal(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("COLUMNS", "80")
        for command, name in (("providers", "huawei_modelarts"), ("balancers", "weighted_round_robin")):
            assert f"\n{name} " in run(command).stdout

    def test_schema(self) -> None:
        schema = as_json(run("schema"))
        assert schema["$schema"].startswith("https://json-schema.org/")


def test_no_colour_where_nobody_sees_it(lab: Lab) -> None:
    for arguments in (("check", "-c", str(lab.file)), ("endpoints", "-c", str(lab.file)), ("providers",)):
        assert "\x1b" not in lab.run(*arguments).output
