"""Whatever happens to the credential, the calls on the direct path go on: real sockets, calls running all the time.

Each client may ask for the list 20 times a minute, as at Huawei; so each test watches a few questions only.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

import directlane
from directlane.core.interfaces import ControlFault
from directlane.providers.huawei_modelarts.emulated_answers import REFUSALS
from directlane.providers.huawei_modelarts.emulator import CredentialType, ModelArtsEmulator

RENEWING: tuple[CredentialType, ...] = ("password", "agency", "ecs", "identity_provider")
WAITING = tuple(refusal for refusal in REFUSALS if refusal[0] == 429)
PASSING = tuple(refusal for refusal in REFUSALS if refusal[0] != 429)
OF_SIGNATURES = {
    (401, "APIG.0301"),
    (401, "APIG.0303"),
    (401, "APIG.0305"),
    (403, "ModelArts.0206"),
    (403, "APIG.0302"),
}
AT_ONCE = 6
"""Refusals that one client meets, so that its questions fit into a minute's limit."""


class Calls:
    """Calls a service all the time, until it is stopped."""

    def __init__(self, service: directlane.Service) -> None:
        self.done = 0
        self.failed: list[str] = []
        self._service = service
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._over.wait(0.002):
            try:
                reply = self._service.send(b"x")
            except directlane.DirectlaneError as error:
                self.failed.append(str(error))
            else:
                self.done += 1
                if reply.status != 200:
                    self.failed.append(f"status {reply.status}")

    def stop(self) -> None:
        self._over.set()
        self._thread.join()


@contextmanager
def running(
    cloud: ModelArtsEmulator, *, timeout: str = "5s", environment: Mapping[str, str] | None = None
) -> Generator[Calls, None, None]:
    """A client whose calls run all the time; at the end, none of them has failed and none brought a credential."""
    service: dict[str, Any] = {
        "routes": [dict(cloud.route())],
        "discovery": {"interval": "150ms", "timeout": timeout},
        "attempts": 1,
    }
    data = {"services": {"s": service}}
    with directlane.Client.from_data(data, environment=environment or cloud.environment) as client:
        calls = Calls(client.service("s"))
        try:
            until(lambda: calls.done > 0)
            yield calls
            done = calls.done
            until(lambda: calls.done > done)
        finally:
            calls.stop()
    assert calls.failed == []
    assert cloud.credentials_at_instances() == []


def until(condition: Callable[[], bool]) -> None:
    """Wait for something that must come; how long it takes says nothing."""
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.01)


def statuses(cloud: ModelArtsEmulator) -> list[int]:
    return [query.status for query in cloud.list_queries]


def has_recovered(cloud: ModelArtsEmulator, failure: int) -> bool:
    seen = statuses(cloud)
    return failure in seen and seen[-1] == 200


def issued(cloud: ModelArtsEmulator) -> int:
    """How many tokens or temporary keys were given out."""
    given = [login.status for login in cloud.logins]
    given += [key.status for key in (*cloud.iam.issued, *cloud.metadata.issued)]
    return sum(status in (200, 201) for status in given)


@pytest.mark.parametrize("credential", RENEWING)
def test_when_the_credential_expires_again_and_again(credential: CredentialType) -> None:
    with ModelArtsEmulator(2, credential=credential, token_life=1.0, key_life=1.0) as cloud, running(cloud):
        until(lambda: issued(cloud) >= 4 and statuses(cloud)[-1] == 200)


@pytest.mark.parametrize("credential", RENEWING)
def test_when_the_credential_is_revoked_early(credential: CredentialType) -> None:
    with ModelArtsEmulator(2, credential=credential) as cloud, running(cloud):
        cloud.revoke_tokens()
        until(lambda: has_recovered(cloud, 401))


def refused_with_each(refusals: Sequence[tuple[int, str, str]], credential: CredentialType) -> None:
    with ModelArtsEmulator(2, credential=credential) as cloud, running(cloud):
        for status, code, _ in refusals:
            before = len(cloud.list_queries)
            # Twice, so that a new token does not help either.
            cloud.refuse_list(status, code, times=2)
            until(lambda: statuses(cloud)[before:].count(status) == 2)  # noqa: B023 - it is called in this round
            until(lambda: statuses(cloud)[-1] == 200)


@pytest.mark.parametrize("first", range(0, len(PASSING), AT_ONCE))
def test_when_the_list_is_refused_with_each_documented_code(first: int) -> None:
    refused_with_each(PASSING[first : first + AT_ONCE], "password")


def test_when_the_list_is_refused_with_each_code_that_a_signature_gets() -> None:
    refused_with_each([each for each in PASSING if each[:2] in OF_SIGNATURES], "aksk")


@pytest.mark.parametrize(("status", "code"), [(status, code) for status, code, _ in WAITING])
def test_when_the_list_is_throttled(status: int, code: str) -> None:
    with ModelArtsEmulator(2, credential="aksk") as cloud, running(cloud) as calls:
        cloud.refuse_list(status, code)
        until(lambda: status in statuses(cloud))
        done = calls.done
        until(lambda: calls.done >= done + 100)


@pytest.mark.parametrize("credential", ["password", "agency"])
@pytest.mark.parametrize(
    "fault", [ControlFault.ERROR_500, ControlFault.HANG, ControlFault.RESET, ControlFault.HTML, ControlFault.EMPTY]
)
def test_when_iam_is_down_and_the_credential_is_revoked(credential: CredentialType, fault: ControlFault) -> None:
    with ModelArtsEmulator(2, credential=credential) as cloud, running(cloud, timeout="1s"):
        cloud.break_iam(fault)
        cloud.revoke_tokens()
        until(lambda: 401 in statuses(cloud))
        asked = len(cloud.logins) + len(cloud.iam.issued)
        until(lambda: len(cloud.logins) + len(cloud.iam.issued) > asked)
        cloud.break_iam(ControlFault.NONE)
        until(lambda: statuses(cloud)[-1] == 200)


@pytest.mark.parametrize(
    ("status", "code"), [(429, "IAM.0012"), (503, "IAM.0006"), (403, "IAM.0003"), (400, "IAM.0002")]
)
def test_when_iam_refuses_for_a_while(status: int, code: str) -> None:
    with ModelArtsEmulator(2) as cloud, running(cloud):
        cloud.refuse_iam(status, code, times=2)
        cloud.revoke_tokens()
        until(lambda: has_recovered(cloud, 401))


def test_when_iam_is_slow() -> None:
    with ModelArtsEmulator(2, token_life=2.0) as cloud, running(cloud):
        cloud.iam_delay = 0.5
        until(lambda: issued(cloud) >= 3 and statuses(cloud)[-1] == 200)


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def test_when_the_id_token_is_replaced_and_when_its_file_is_gone(caplog: pytest.LogCaptureFixture) -> None:
    with ModelArtsEmulator(2, credential="identity_provider") as cloud, running(cloud):
        cloud.rotate_id_token()
        cloud.revoke_tokens()
        until(lambda: has_recovered(cloud, 401))
        assert lines(caplog) == []
    with ModelArtsEmulator(2, credential="identity_provider", key_life=2.0) as cloud, running(cloud):
        # At half of its life the key cannot be renewed, and is used; then it ends.
        cloud.id_token_file.unlink()
        until(lambda: len(lines(caplog)) == 2)
        cloud.rotate_id_token()
        asked = len(cloud.list_queries)
        until(lambda: 200 in statuses(cloud)[asked:])
    warning, failure = lines(caplog)[:2]
    assert "cannot be renewed, and is used until it ends: the file" in warning
    assert "discovery fails: the file" in failure


def test_when_the_key_in_the_profile_file_is_replaced(caplog: pytest.LogCaptureFixture) -> None:
    with ModelArtsEmulator(2, credential="profile") as cloud, running(cloud):
        cloud.users[0].access_key = "EMULATEDNEWKEY"
        until(lambda: statuses(cloud).count(401) >= 2)
        text = cloud.profile.read_text()
        cloud.profile.write_text("[basic]\n")  # half written
        cloud.profile.write_text(text.replace("EMULATEDACCESSKEY", "EMULATEDNEWKEY"))
        until(lambda: statuses(cloud)[-1] == 200)
    assert len(lines(caplog)) == 1
    assert "the credential of the profile file" in lines(caplog)[0]


def test_when_the_metadata_server_is_gone(caplog: pytest.LogCaptureFixture) -> None:
    with ModelArtsEmulator(2, credential="ecs") as cloud, running(cloud):
        cloud.metadata.mode = "no agency"
        cloud.revoke_tokens()
        until(lambda: len(cloud.metadata.issued) >= 5)
        cloud.metadata.mode = "hardened"
        until(lambda: statuses(cloud)[-1] == 200)
    assert len(lines(caplog)) == 1
    assert "no agency is bound to this ECS" in lines(caplog)[0]


def test_when_the_password_is_changed_for_good(caplog: pytest.LogCaptureFixture) -> None:
    with ModelArtsEmulator(2) as cloud:
        with running(cloud) as calls:
            cloud.users[0].password = "another"
            cloud.revoke_tokens()
            until(lambda: any("is not tried again" in record.getMessage() for record in caplog.records))
            done = calls.done
            until(lambda: calls.done >= done + 100)
        # Sent once: Huawei locks accounts.
        assert [login.status for login in cloud.logins] == [201, 401]


@pytest.mark.parametrize("ahead", [3600.0, -3600.0])
def test_when_a_clock_goes_wrong(ahead: float) -> None:
    with ModelArtsEmulator(2, credential="aksk") as cloud, running(cloud):
        cloud.iam.ahead = ahead
        until(lambda: has_recovered(cloud, 401))
        cloud.iam.ahead = 0.0
        until(lambda: statuses(cloud).count(401) >= 2 and statuses(cloud)[-1] == 200)


def test_when_one_of_several_users_is_refused_for_good(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, logger="directlane")
    with ModelArtsEmulator(2, credential="users", users=3) as cloud:
        first, second, third = cloud.users
        environment = cloud.environment
        second.password = "another"
        with running(cloud, environment=environment):
            until(lambda: len(cloud.queries_of(first.name)) >= 2 and len(cloud.queries_of(third.name)) >= 2)
        assert cloud.queries_of(second.name) == []
        assert [login.status for login in cloud.logins if login.user == second.name] == [401]
        warned = [record.getMessage() for record in caplog.records]
        assert any(f"user {second.name!r} of account" in text and "is left out" in text for text in warned)
        secrets = {*cloud.secrets(), *environment.values()}
        assert not any(secret in text for text in warned for secret in secrets)
