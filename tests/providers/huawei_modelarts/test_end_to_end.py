"""A client, a configuration and the emulated cloud: what a user of this provider sees."""

from __future__ import annotations

from typing import Any, get_args

import pytest

import directlane
from directlane.core.interfaces import ControlFault
from directlane.providers.huawei_modelarts.emulator import Access, CredentialType, ModelArtsEmulator

ACCESSES: tuple[Access, ...] = get_args(Access)
CREDENTIALS: tuple[CredentialType, ...] = get_args(CredentialType)
WAYS = [(access, each) for access in ACCESSES for each in CREDENTIALS if (access, each) != ("gateway", "users")]


def client_of(cloud: ModelArtsEmulator) -> directlane.Client:
    service: dict[str, Any] = {"routes": [dict(cloud.route())], "repeatable": True}
    return directlane.Client.from_data({"services": {"s": service}}, environment=cloud.environment)


@pytest.mark.parametrize(("access", "credential"), WAYS)
def test_calls_arrive_and_no_credential_reaches_an_instance(
    access: Access, credential: CredentialType, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ModelArtsEmulator(3, access=access, credential=credential, users=3) as cloud:
        for name, value in cloud.environment.items():
            monkeypatch.setenv(name, value)
        with client_of(cloud) as client:
            service = client.service("s")
            assert [service.send(b"x").status for _ in range(6)] == [200] * 6
        assert sum(instance.requests for instance in cloud.instances) == 6
        assert cloud.credentials_at_instances() == []


def test_through_the_gateway_a_revoked_token_is_not_noticed() -> None:
    with ModelArtsEmulator(2, access="gateway") as cloud, client_of(cloud) as client:
        service = client.service("s")
        assert service.send(b"x").status == 200
        cloud.revoke_tokens()
        assert service.send(b"x").status == 200
        assert [login.status for login in cloud.logins] == [201, 201]


def test_two_services_through_the_gateway_have_a_token_each() -> None:
    with ModelArtsEmulator(2, access="gateway") as cloud:
        service: dict[str, Any] = {"routes": [dict(cloud.route())]}
        data = {"services": {"one": service, "two": service}}
        with directlane.Client.from_data(data, environment=cloud.environment) as client:
            assert client.service("one").send(b"x").status == 200
            assert client.service("two").send(b"x").status == 200


def test_calls_go_on_when_an_instance_dies_and_the_cloud_is_broken() -> None:
    with ModelArtsEmulator(3) as cloud, client_of(cloud) as client:
        service = client.service("s")
        assert service.send(b"x").status == 200
        cloud.break_control_plane(ControlFault.HTML)
        cloud.instances[0].kill()
        assert [service.send(b"x").status for _ in range(9)] == [200] * 9


def test_a_wrong_password_ends_with_a_clear_error_and_is_sent_once() -> None:
    with ModelArtsEmulator(1) as cloud:
        cloud.users[0].password = "another"
        environment = {**cloud.environment, "EMULATED_MODELARTS_PASSWORD": "hunter2"}
        service: dict[str, Any] = {"routes": [dict(cloud.route())]}
        with directlane.Client.from_data({"services": {"s": service}}, environment=environment) as client:
            for _ in range(3):
                with pytest.raises(directlane.NoEndpointError) as caught:
                    client.service("s").send(b"x")
                assert "IAM refused the login" in str(caught.value)
                assert "hunter2" not in str(caught.value)
        assert [login.status for login in cloud.logins] == [401]


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        ("/nowhere/credentials", "No such file"),
        ("~nobody-of-this-name/credentials", "this is not a path"),
        ("a\0b", "this is not a path"),
        ("/", "Is a directory"),
    ],
)
def test_a_profile_file_that_cannot_be_read_is_named(file: str, reason: str) -> None:
    with ModelArtsEmulator(1) as cloud:
        route = {**cloud.route(), "credential": {"type": "profile", "file": file}}
        data = {"services": {"s": {"routes": [route]}}}
        with (
            directlane.Client.from_data(data) as client,
            pytest.raises(directlane.NoEndpointError, match=f"the file .*: {reason}"),
        ):
            client.service("s").send(b"x", timeout=1.5)
        assert cloud.list_queries == []
