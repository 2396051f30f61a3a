"""Every secret that the emulated cloud knows or ever issued is searched for in all that directlane shows.

Good calls, revoked credentials, a broken cloud, dead instances; every logger at DEBUG. (`httpcore` logs the headers
of answers at DEBUG, and an IAM token stands in one: that is what a control plane says, and not looked at.)
"""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Callable
from typing import Any, get_args

import pytest

import directlane
from directlane.core.interfaces import ControlFault
from directlane.providers.huawei_modelarts.emulator import Access, CredentialType, ModelArtsEmulator

ACCESSES: tuple[Access, ...] = get_args(Access)
CREDENTIALS: tuple[CredentialType, ...] = get_args(CredentialType)
WAYS = [(access, each) for access in ACCESSES for each in CREDENTIALS if (access, each) != ("gateway", "users")]


def until(condition: Callable[[], bool]) -> None:
    """Wait for something that must come; how long it takes says nothing."""
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.01)


def questions(cloud: ModelArtsEmulator) -> int:
    """How many there were, for the list or a credential."""
    keys = [*cloud.iam.issued, *cloud.metadata.issued, *cloud.federation.exchanges, *cloud.federation.pod_keys]
    return len([*cloud.list_queries, *cloud.logins, *keys])


def everything_about(error: BaseException) -> str:
    return "".join(traceback.format_exception(error)) + repr(error) + repr(vars(error))


@pytest.mark.parametrize(("access", "credential"), WAYS)
def test_no_secret_is_seen(
    access: Access, credential: CredentialType, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.DEBUG)
    with ModelArtsEmulator(2, access=access, credential=credential, users=2, metadata="hardened") as cloud:
        for name, value in cloud.environment.items():
            monkeypatch.setenv(name, value)
        discovery = {"interval": "100ms", "timeout": "300ms"}
        service: dict[str, Any] = {"routes": [dict(cloud.route())], "discovery": discovery, "attempts": 2}
        data = {"services": {"s": service}}
        seen: list[str] = []
        with directlane.Client.from_data(data, environment=cloud.environment) as client:
            live = client.service("s")
            assert live.send(b"x").status == 200
            cloud.revoke_tokens()
            cloud.refuse_list(401, "APIG.0301", times=1)
            cloud.break_iam(ControlFault.ERROR_500)
            asked = questions(cloud)
            live.send(b"x")
            if access == "direct":
                until(lambda: questions(cloud) >= asked + 3)
            cloud.break_control_plane(ControlFault.HTML)
            for instance in cloud.instances:
                instance.kill()
            for _ in range(2):
                try:
                    seen.append(repr(live.send(b"x")))
                except directlane.DirectlaneError as error:
                    seen.append(everything_about(error))
            plan = client.config.services["s"]
            provider = plan.routes[0].provider
            members = [member.endpoint for way in live.routes for member in way.pool.members()]
            things = [client, client.config, live, plan, provider, *live.routes, live.endpoints()]
            things += [provider.discovery(), provider.discovery().identity, provider.upkeep(), provider.budgets()]
            things += [*(provider.wire(endpoint) for endpoint in members), vars(provider), provider.model_dump()]
            things += [provider.__pydantic_private__, provider.model_dump_json()]
            # What keeps the credentials is private; a debugger shows it all the same.
            things += [*(provider.__pydantic_private__ or {})["_users"].users]
            seen += [text for thing in things for text in (repr(thing), str(thing))]
        seen += [
            record.getMessage() + repr(record.args) for record in caplog.records if record.name != "httpcore.http11"
        ]
        secrets = cloud.secrets()
        assert len(secrets) >= 6
        assert [text for text in seen for secret in secrets if secret in text] == []
