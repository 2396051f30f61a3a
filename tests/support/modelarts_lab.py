"""Conversations of the ModelArts provider without a socket: settings, answers, and who drives them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

from directlane.core.endpoint import Snapshot
from directlane.core.errors import DiscoveryError, Phase, TransportError
from directlane.core.interfaces import Discovery, LocalQuery, PollContext, Query, Upkeep
from directlane.core.message import Headers, Reply, header
from directlane.providers.huawei_modelarts.provider import HuaweiModelArtsProvider

NOON = 1_800_000_000.0
DAY = 86_400.0
DIRECT = {"service_id": "s", "project_id": "p", "region": "cn-north-4"}
GATEWAY = {
    "access": "gateway",
    "gateway_url": "https://infer.example.com/v1/infers/s",
    "project_id": "p",
    "region": "cn-north-4",
}
TOKEN = {"type": "token", "token": "MIIready"}
PASSWORD = {"type": "password", "user": "alice", "password": "hunter2", "domain": "acme"}
AKSK = {"type": "aksk", "access_key": "AK", "secret_key": "SKhidden"}
LIST = Reply(200, content=b'{"endpoints":[{"schema":"http","ip":"10.0.0.1","port":80}]}')


def route(*parts: dict[str, Any], credential: dict[str, Any] = TOKEN) -> HuaweiModelArtsProvider:
    settings: dict[str, Any] = {"credential": credential}
    for part in parts or (DIRECT,):
        settings |= part
    return HuaweiModelArtsProvider.model_validate(settings)


def iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def dated(reply: Reply, at: float) -> Reply:
    """The answer of a platform whose clock says `at`."""
    date = format_datetime(datetime.fromtimestamp(at, UTC), usegmt=True)
    return Reply(reply.status, (*reply.headers, ("Date", date)), reply.content)


def login(token: str = "MIIfirst", *, at: float = NOON, life: float = DAY) -> Reply:
    body = {"token": {"expires_at": iso(at + life), "issued_at": iso(at)}}
    return Reply(201, (("x-subject-token", token),), json.dumps(body).encode())


def temporary_key(name: str = "one", *, at: float = NOON, life: float = 3600.0, status: int = 201) -> Reply:
    key = {"access": f"AK{name}", "secret": f"SK{name}hidden", "securitytoken": f"ST{name}hidden"}
    return Reply(status, content=json.dumps({"credential": key | {"expires_at": iso(at + life)}}).encode())


def refusal(status: int, code: str, message: str = "no", headers: Headers = ()) -> Reply:
    return Reply(status, headers, json.dumps({"error_code": code, "error_msg": message}).encode())


@dataclass
class Talk:
    """One conversation, driven to its end."""

    queries: list[Query] = field(default_factory=list[Query])
    snapshot: Snapshot | None = None
    error: DiscoveryError | TransportError | None = None

    @property
    def tokens(self) -> list[str | None]:
        return [header(query.headers, "X-Auth-Token") for query in self.queries]


def talk(
    discovery: Discovery | Upkeep | None,
    answers: Sequence[Reply | TransportError],
    *,
    at: float = NOON,
    reauthenticate: bool = False,
    environment: Mapping[str, str] | None = None,
    files: Mapping[str, bytes] | None = None,
) -> Talk:
    """Drive one conversation. What is read on this machine comes from `environment` and `files`, the rest is answered
    in turn."""
    assert discovery is not None
    told = Talk()
    conversation = discovery.poll(PollContext(at, reauthenticate=reauthenticate))
    waiting = list(answers)
    try:
        query = next(conversation)
        while True:
            if isinstance(query, LocalQuery):
                answer: Reply | TransportError = _read_here(query, environment or {}, files or {})
            else:
                assert isinstance(query, Query)
                told.queries.append(query)
                answer = waiting.pop(0)
            query = conversation.throw(answer) if isinstance(answer, TransportError) else conversation.send(answer)
    except StopIteration as end:
        told.snapshot = end.value
    except (DiscoveryError, TransportError) as error:
        told.error = error
    assert not waiting, "not every answer was asked for"
    return told


def _read_here(query: LocalQuery, environment: Mapping[str, str], files: Mapping[str, bytes]) -> Reply | TransportError:
    path = query.what.removeprefix("the file ")
    if path == query.what:
        return Reply(200, content=json.dumps(dict(environment)).encode())
    if path in files:
        return Reply(200, content=files[path])
    return TransportError(f"{query.what}: No such file or directory", phase=Phase.WAIT)
