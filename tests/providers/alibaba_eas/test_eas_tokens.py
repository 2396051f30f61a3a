"""Tokens that change while calls run: read from a file, or fetched from the control plane."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from cli_lab import run
from client_lab import soon

import directlane
from directlane.core.fields import Secret
from directlane.core.interfaces import ControlFault, LocalQuery, PollContext
from directlane.core.message import Request
from directlane.providers.alibaba_eas.auth import Scheme
from directlane.providers.alibaba_eas.control_plane import ControlPlane
from directlane.providers.alibaba_eas.credentials import FixedKey
from directlane.providers.alibaba_eas.emulator import EasEmulator
from directlane.providers.alibaba_eas.signing import AccessKey
from directlane.providers.alibaba_eas.token import CallToken, FetchedToken, TokenVariable, read_settled

OLD, NEW, NEWER = "0ld-kangaroo-token", "n3w-kangaroo-token", "n3wer-kangaroo-token"
KEY_SECRET = "emulated-access-key-secret"
RARELY = "1h"


def no_pause(seconds: float) -> None:
    assert seconds > 0


def put(path: Path, text: str) -> None:
    """Replace a file in one step, as a careful writer does."""
    other = path.with_name(f"{path.name}.next")
    other.write_text(text, "utf-8")
    other.replace(path)


# --- what calls carry -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scheme", "before", "after"),
    [("plain", "a1", "b2"), ("bearer", "Bearer a1", "Bearer b2"), ("signed", "EAS ", "EAS ")],
)
def test_calls_carry_the_token_that_is_held(scheme: Scheme, before: str, after: str) -> None:
    token, request = CallToken(scheme), Request("POST", "/", (), b"x")
    assert token.headers(request, 0.0) == ()
    token.take(Secret("a1"))
    first = dict(token.headers(request, 0.0))["Authorization"]
    token.take(Secret("b2"))
    second = dict(token.headers(request, 0.0))["Authorization"]
    assert first.startswith(before)
    assert second.startswith(after)
    assert first != second
    assert "a1" not in repr(token)


# --- the file ---------------------------------------------------------------------------------------------------------


def test_a_file_that_is_written_in_place_is_read_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("n3w-kan")

    def write_the_rest(seconds: float) -> None:
        path.write_text(f"{NEW}\n")

    assert read_settled(path, Secret(OLD), write_the_rest) == Secret(NEW)


def test_a_file_with_the_token_that_is_held_is_read_once(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text(OLD)

    def never(seconds: float) -> None:
        raise AssertionError("it waits")

    assert read_settled(path, Secret(OLD), never) == Secret(OLD)


def test_a_file_that_changes_all_the_time_is_not_believed(tmp_path: Path) -> None:
    path, looks = tmp_path / "token", iter(range(100))
    path.write_text("t")

    def write_another(seconds: float) -> None:
        path.write_text(f"t{next(looks)}")

    with pytest.raises(ValueError, match="changes all the time"):
        read_settled(path, None, write_another)


@pytest.mark.parametrize(
    "content", [b"", b"\n", b"  \n", b"two\nlines", b"two words", b"\xff\xfe", "ü".encode(), b"a\x00b"]
)
def test_what_is_no_token_is_refused_and_not_quoted(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="token") as caught:
        read_settled(path, None, no_pause)
    assert not any(word in str(caught.value) for word in ("two", "lines", "words"))


@pytest.mark.parametrize("around", [b"%s\r\n", b"\xef\xbb\xbf%s", b" %s ", b"\xef\xbb\xbf  %s \r\n\r\n", b"%s"])
def test_what_editors_and_shells_put_around_a_token_does_not_matter(around: bytes, tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_bytes(around % NEW.encode())
    assert read_settled(path, None, no_pause) == Secret(NEW)


def test_a_folder_in_place_of_the_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cannot be read: Is a directory"):
        read_settled(tmp_path, None, no_pause)


# --- the environment --------------------------------------------------------------------------------------------------


def look(upkeep: TokenVariable) -> None:
    """One round."""
    steps = upkeep.poll(PollContext(0.0))
    query = next(steps)
    assert isinstance(query, LocalQuery)
    try:
        answer: directlane.Reply | ValueError = query.run()
    except ValueError as error:
        answer = error
    if isinstance(answer, ValueError):
        steps.throw(answer)
    else:
        with pytest.raises(StopIteration):
            steps.send(answer)


def test_a_variable_is_read_again_and_a_bad_one_keeps_the_token(monkeypatch: pytest.MonkeyPatch) -> None:
    token = CallToken("plain")
    upkeep = TokenVariable("MY_EAS_TOKEN", token)
    for text, held in ((f" {OLD}\n", OLD), ("file:/etc/passwd", "file:/etc/passwd"), (NEW, NEW)):
        monkeypatch.setenv("MY_EAS_TOKEN", text)
        look(upkeep)
        assert token.held == Secret(held)
    for bad in ("", " ", "two words", "two\nlines"):
        monkeypatch.setenv("MY_EAS_TOKEN", bad)
        with pytest.raises(directlane.CredentialError, match="MY_EAS_TOKEN") as caught:
            look(upkeep)
        assert "two" not in str(caught.value)
    monkeypatch.delenv("MY_EAS_TOKEN")
    with pytest.raises(directlane.CredentialError, match="set MY_EAS_TOKEN in"):
        look(upkeep)
    assert token.held == Secret(NEW)
    assert NEW not in repr(upkeep)


# --- the control plane ------------------------------------------------------------------------------------------------


def fetched(refresh: float = 3600.0) -> tuple[FetchedToken, CallToken]:
    token = CallToken("plain")
    plane = ControlPlane("http://api", "c", "svc", FixedKey(AccessKey("LTAI", Secret("s"))))
    return FetchedToken(plane, token, refresh), token


def rounds(upkeep: FetchedToken, now: float, token: str, *, reauthenticate: bool = False) -> tuple[int, float | None]:
    """How often the control plane was asked in one round, and when the next one is due."""
    steps = upkeep.poll(PollContext(now, reauthenticate=reauthenticate))
    asked = 0
    try:
        next(steps)
        while True:
            asked += 1
            steps.send(directlane.Reply(200, content=f'{{"AccessToken": "{token}"}}'.encode()))
    except StopIteration as end:
        return asked, end.value.ask_again_in


def test_a_refused_token_is_fetched_at_once_but_not_twice_in_a_minute() -> None:
    upkeep, token = fetched()
    assert rounds(upkeep, 1000.0, OLD) == (1, 3600.0)
    assert rounds(upkeep, 1001.0, NEW, reauthenticate=True) == (1, 3600.0)
    assert token.held == Secret(NEW)
    assert rounds(upkeep, 1060.0, NEWER, reauthenticate=True) == (0, 3541.0)
    assert token.held == Secret(NEW)
    assert rounds(upkeep, 1061.0, NEWER, reauthenticate=True) == (1, 3600.0)
    assert token.held == Secret(NEWER)


def test_a_clock_that_was_set_back_does_not_stop_renewals() -> None:
    upkeep, _ = fetched()
    rounds(upkeep, 9000.0, OLD)
    rounds(upkeep, 9001.0, NEW, reauthenticate=True)
    assert rounds(upkeep, 1000.0, NEWER, reauthenticate=True)[0] == 1


# --- calls ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def cloud() -> Iterator[EasEmulator]:
    with EasEmulator(2, token=OLD) as running:
        yield running


@contextmanager
def client_of(
    cloud: EasEmulator, route: dict[str, object], **discovery: object
) -> Generator[directlane.Client, None, None]:
    settings = {"interval": RARELY, "timeout": "10s", **discovery}
    data: dict[str, Any] = {"services": {"s": {"routes": [route], "discovery": settings}}}
    environment = {**cloud.environment, **cloud.control_plane_environment}
    with directlane.Client.from_data(data, environment=environment) as client:
        yield client


def file_route(cloud: EasEmulator, path: Path, **settings: object) -> dict[str, object]:
    return {
        "provider": "alibaba_eas",
        "service": cloud.service,
        "discovery_host": cloud.host,
        "token_file": str(path),
        **settings,
    }


@contextmanager
def calling(service: directlane.Service, threads: int = 3) -> Generator[list[int], None, None]:
    """Calls run all the time; gives the statuses, which are complete after the block."""
    is_over = threading.Event()
    statuses: list[int] = []

    def call() -> None:
        while not is_over.is_set():
            statuses.append(service.send(b"x").status)

    with ThreadPoolExecutor(threads) as pool:
        running = [pool.submit(call) for _ in range(threads)]
        try:
            yield statuses
        finally:
            is_over.set()
        for future in running:
            future.result()


def settle(*replies: Callable[[], bool]) -> None:
    for condition in replies:
        assert soon(condition)


@pytest.mark.parametrize("scheme", ["plain", "signed"])
def test_no_call_is_refused_if_the_old_token_is_good_until_the_new_one_is_read(
    cloud: EasEmulator, tmp_path: Path, scheme: Scheme
) -> None:
    path = tmp_path / "token"
    path.write_text(f"{OLD}\n")
    with client_of(cloud, file_route(cloud, path, auth=scheme), interval="50ms") as client:
        with calling(client.service("s")) as statuses:
            settle(lambda: len(statuses) > 20)
            cloud.rotate_token(NEW, keep_old=True)
            put(path, NEW)
            settle(lambda: cloud.calls_with(NEW) > 20)
            cloud.rotate_token(NEW)
            before = cloud.calls_with(NEW)
            settle(lambda: cloud.calls_with(NEW) > before + 20)
        assert set(statuses) == {200}
        assert cloud.refused_calls == 0


def test_a_token_without_overlap_costs_one_look_and_no_call(cloud: EasEmulator, tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text(OLD)
    with client_of(cloud, file_route(cloud, path)) as client:
        service = client.service("s")
        upkeep = service.routes[0].upkeep
        with calling(service) as statuses:
            settle(lambda: len(statuses) > 20)
            put(path, NEW)
            cloud.rotate_token(NEW)
            settle(lambda: cloud.calls_with(NEW) > 20)
        assert set(statuses) == {200}
        assert 1 <= cloud.refused_calls <= 3  # each thread may have had one call under way
        assert upkeep is not None
        assert upkeep.belief.questions == 2


def test_a_token_that_the_program_sets_anew_is_found_when_the_old_one_is_refused(
    cloud: EasEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_EAS_TOKEN", OLD)
    route = {"provider": "alibaba_eas", "service": cloud.service, "discovery_host": cloud.host}
    with client_of(cloud, {**route, "token_env": "MY_EAS_TOKEN"}) as client:
        service = client.service("s")
        assert service.send(b"x").status == 200
        monkeypatch.setenv("MY_EAS_TOKEN", NEW)
        cloud.rotate_token(NEW)
        assert [service.send(b"x").status for _ in range(3)] == [200] * 3
        assert cloud.refused_calls == 1


def test_a_link_that_is_swapped_is_followed(cloud: EasEmulator, tmp_path: Path) -> None:
    """As Kubernetes writes secrets: `token` is a link into `..data`, a link to a folder that is replaced."""
    for name, token in (("v1", OLD), ("v2", NEW)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "token").write_text(token)
    data, path = tmp_path / "..data", tmp_path / "token"
    data.symlink_to("v1")
    path.symlink_to("..data/token")
    with client_of(cloud, file_route(cloud, path)) as client:
        assert client.service("s").send(b"x").status == 200
        (tmp_path / "..next").symlink_to("v2")
        (tmp_path / "..next").replace(data)
        cloud.rotate_token(NEW)
        assert client.service("s").send(b"x").status == 200


@pytest.mark.parametrize("content", ["", "\n", "half\nof", None])
def test_a_bad_file_keeps_the_token_and_says_so(
    content: str | None, cloud: EasEmulator, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "token"
    path.write_text(OLD)
    with client_of(cloud, file_route(cloud, path), interval="50ms") as client:
        service = client.service("s")
        assert service.send(b"x").status == 200
        if content is None:
            path.unlink()
        else:
            put(path, content)
        upkeep = service.routes[0].upkeep
        assert upkeep is not None
        settle(lambda: upkeep.belief.error is not None)
        assert str(path) in str(upkeep.belief.error)
        assert service.send(b"x").status == 200
        put(path, NEW)
        cloud.rotate_token(NEW)
        settle(lambda: upkeep.belief.error is None)
        assert service.send(b"x").status == 200
    assert "what was learned before stays in use" in caplog.text
    assert OLD not in caplog.text


def test_without_a_file_a_call_says_which_one_is_missing(cloud: EasEmulator, tmp_path: Path) -> None:
    path = tmp_path / "missing"
    with client_of(cloud, file_route(cloud, path), start_timeout="500ms") as client:
        with pytest.raises(directlane.NoEndpointError, match=f"{path} cannot be read: No such file"):
            client.service("s").send(b"x")
        path.write_text(OLD)
        assert soon(lambda: bool(client.service("s").endpoints()))
        assert client.service("s").send(b"x").status == 200


def test_a_token_of_the_control_plane_is_fetched_once_and_again_when_it_is_refused(cloud: EasEmulator) -> None:
    with client_of(cloud, dict(cloud.control_plane_route())) as client:
        with calling(client.service("s")) as statuses:
            settle(lambda: len(statuses) > 20)
            assert cloud.control_plane.queries == {"DescribeService": 1}
            cloud.rotate_token(NEW)
            settle(lambda: cloud.calls_with(NEW) > 20)
        assert set(statuses) == {200}
        assert cloud.control_plane.queries == {"DescribeService": 2}


def test_async_calls_go_on_too(cloud: EasEmulator) -> None:
    async def main() -> list[int]:
        data: dict[str, Any] = {"services": {"s": {"routes": [dict(cloud.control_plane_route())]}}}
        environment = cloud.control_plane_environment
        async with directlane.AsyncClient.from_data(data, environment=environment) as client:
            before = (await client.service("s").send(b"x")).status
            cloud.rotate_token(NEW)
            return [before, *[(await client.service("s").send(b"x")).status for _ in range(3)]]

    assert anyio.run(main) == [200] * 4
    assert cloud.refused_calls == 1


def test_a_token_that_stays_wrong_is_fetched_once_and_the_caller_gets_the_answer(cloud: EasEmulator) -> None:
    with client_of(cloud, dict(cloud.control_plane_route())) as client:
        service = client.service("s")
        assert service.send(b"x").status == 200
        plane = cloud.control_plane
        plane.token = lambda: OLD  # not what the instances take
        cloud.rotate_token(NEW)
        assert [service.send(b"x").status for _ in range(5)] == [401] * 5
        assert plane.queries == {"DescribeService": 2}


def test_if_the_control_plane_is_away_at_the_start_calls_say_so_and_begin_when_it_is_back(cloud: EasEmulator) -> None:
    cloud.break_api(ControlFault.ERROR_500)
    with client_of(cloud, dict(cloud.control_plane_route()), start_timeout="500ms") as client:
        service = client.service("s")
        with pytest.raises(directlane.NoEndpointError, match="refused DescribeService"):
            service.send(b"x")
        cloud.break_api(ControlFault.NONE)
        assert service.wait_ready(20)
        assert service.send(b"x").status == 200
    assert cloud.refused_calls == 0


@pytest.mark.parametrize(
    "fault", [ControlFault.ERROR_500, ControlFault.RESET, ControlFault.HTML, ControlFault.WRONG_TYPES]
)
def test_if_the_control_plane_goes_away_later_calls_go_on(cloud: EasEmulator, fault: ControlFault) -> None:
    with client_of(cloud, dict(cloud.control_plane_route()), interval="2s") as client:
        service = client.service("s")
        assert service.send(b"x").status == 200
        cloud.break_api(fault)
        assert service.send(b"x").status == 200
        cloud.rotate_token(NEW)
        assert service.send(b"x").status == 401
        upkeep = service.routes[0].upkeep
        assert upkeep is not None
        assert upkeep.belief.error is not None
        cloud.break_api(ControlFault.NONE)
        settle(lambda: upkeep.belief.error is None)
        assert service.send(b"x").status == 200


def test_a_wrong_key_is_named(cloud: EasEmulator) -> None:
    cloud.control_plane.access_key_secret = "another"
    environment = {"EMULATED_EAS_ACCESS_KEY_SECRET": KEY_SECRET}
    data: dict[str, Any] = {
        "services": {"s": {"routes": [dict(cloud.control_plane_route())], "discovery": {"start_timeout": "2s"}}}
    }
    with (
        directlane.Client.from_data(data, environment=environment) as client,
        pytest.raises(directlane.NoEndpointError, match=r"SignatureDoesNotMatch") as caught,
    ):
        client.service("s").send(b"x")
    assert KEY_SECRET not in str(caught.value)


def test_a_temporary_key_works(cloud: EasEmulator) -> None:
    cloud.control_plane.security_token = "session-token"
    credential = {
        "type": "access_key",
        "access_key_id": cloud.control_plane.access_key_id,
        "access_key_secret": KEY_SECRET,
        "security_token": "session-token",
    }
    with client_of(cloud, dict(cloud.control_plane_route(credential=credential))) as client:
        assert client.service("s").send(b"x").status == 200


# --- a cold start -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [ControlFault.RESET, ControlFault.ERROR_500, ControlFault.HTML])
def test_calls_begin_while_discovery_is_away(cloud: EasEmulator, fault: ControlFault) -> None:
    cloud.break_control_plane(fault)
    cloud.control_plane.page_size = 1
    with client_of(cloud, dict(cloud.control_plane_route()), interval="100ms") as client:
        service = client.service("s")
        replies = [service.send(b"x") for _ in range(4)]
        assert {reply.status for reply in replies} == {200}
        assert len({reply.endpoint.id for reply in replies if reply.endpoint}) == 2
        assert source_of(service) == "control plane"
        assert {view.weight for view in service.endpoints()} == {100}
        cloud.break_control_plane(ControlFault.NONE)
        settle(lambda: source_of(service) is None)
        assert service.send(b"x").status == 200
        assert cloud.control_plane.queries["ListServiceInstances"] == 2  # one list of two pages


def test_instances_that_do_not_run_get_no_calls_at_a_cold_start(cloud: EasEmulator) -> None:
    cloud.break_control_plane(ControlFault.RESET)
    cloud.control_plane.facts[cloud.instances[0].name] = {"Status": "Pending"}
    with client_of(cloud, dict(cloud.control_plane_route())) as client:
        assert [endpoint_port(client.service("s").send(b"x")) for _ in range(3)] == [cloud.instances[1].port] * 3


def test_the_help_can_be_refused(cloud: EasEmulator) -> None:
    cloud.break_control_plane(ControlFault.RESET)
    with (
        client_of(cloud, dict(cloud.control_plane_route(instances=False)), start_timeout="500ms") as client,
        pytest.raises(directlane.NoEndpointError),
    ):
        client.service("s").send(b"x")
    assert "ListServiceInstances" not in cloud.control_plane.queries


def source_of(service: directlane.Service) -> object:
    snapshot = service.routes[0].belief.snapshot
    return None if snapshot is None else snapshot.attributes.get("source")


def endpoint_port(reply: directlane.Reply) -> int | None:
    return None if reply.endpoint is None else reply.endpoint.port


# --- what people see --------------------------------------------------------------------------------------------------


def shown_endpoints(cloud: EasEmulator, tmp_path: Path, *options: str) -> str:
    """What `directlane endpoints` prints."""
    file = tmp_path / "directlane.json"
    service = {"routes": [dict(cloud.control_plane_route())], "discovery": {"start_timeout": "1s"}}
    file.write_text(json.dumps({"services": {"s": service}}), "utf-8")
    return run("endpoints", "-c", str(file), *options, data=None, **cloud.control_plane_environment).output


def test_endpoints_names_an_upkeep_that_fails(cloud: EasEmulator, tmp_path: Path) -> None:
    cloud.break_api(ControlFault.ERROR_500)
    assert "upkeep: the control plane of PAI-EAS refused DescribeService (status 500" in shown_endpoints(
        cloud, tmp_path
    )


def test_endpoints_says_when_the_list_is_the_control_planes(cloud: EasEmulator, tmp_path: Path) -> None:
    assert '"list_source": null' in shown_endpoints(cloud, tmp_path, "--json")
    cloud.break_control_plane(ControlFault.RESET)
    assert '"list_source": "control plane"' in shown_endpoints(cloud, tmp_path, "--json")
    assert "the list comes from the control plane" in shown_endpoints(cloud, tmp_path)


# --- secrets ----------------------------------------------------------------------------------------------------------


def test_no_secret_is_seen_whatever_happens(
    cloud: EasEmulator, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    path = tmp_path / "token"
    path.write_text(OLD)
    shown: list[str] = []
    for route in (file_route(cloud, path), dict(cloud.control_plane_route())):
        with client_of(cloud, route, interval="50ms", start_timeout="500ms") as client:
            service = client.service("s")
            for fault in (ControlFault.NONE, ControlFault.ERROR_500, ControlFault.HTML, ControlFault.RESET):
                cloud.break_api(fault)
                cloud.break_control_plane(fault)
                try:
                    shown.append(repr(service.send(b"x")))
                except directlane.CallError as error:
                    shown.append(f"{error} {error!r} {error.__cause__!r}")
            provider, now = service.routes[0].provider, service.routes[0]
            shown += [repr(client.config), repr(provider), repr(provider.discovery()), repr(provider.upkeep())]
            shown += [repr(service.endpoints()), repr(now.belief), repr(now.upkeep and now.upkeep.belief)]
            shown += [repr(provider.wire(directlane.Endpoint("10.0.0.1", 1))), str(provider.discovery().identity)]
        cloud.break_api(ControlFault.NONE)
        cloud.break_control_plane(ControlFault.NONE)
    everything = "\n".join(shown) + caplog.text
    assert not any(secret in everything for secret in (OLD, KEY_SECRET))
