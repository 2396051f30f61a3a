"""The provider of addresses in a file keeps to the contract."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import pytest

from directlane.core.interfaces import EmptyAnswer
from directlane.core.interfaces.discovery import LocalQuery, Query
from directlane.core.message import Reply
from directlane.providers.file import FileProvider
from directlane.testing import Canaries, Listed, ProviderContract


class TestFile(ProviderContract):
    model = FileProvider
    empty_answer = EmptyAnswer.KEEP

    def route(self, secret: Canaries) -> Mapping[str, object]:
        return {"path": "/etc/models.json", "token": secret("token"), "headers": {"X-Api-Key": secret("key")}}

    def answer(self, query: Query | LocalQuery, listed: Sequence[Listed]) -> Reply:
        entries = [
            {"host": each.host, "port": each.port} | ({} if each.weight is None else {"weight": each.weight})
            for each in listed
        ]
        return Reply(200, content=json.dumps(entries).encode())

    def other_routes(self, secret: Canaries) -> Sequence[Mapping[str, object]]:
        return [{"path": "/etc/others.json", "token": secret("token"), "headers": {"X-Api-Key": secret("key")}}]

    def test_throttling_is_told_with_its_delay(self) -> None:
        pytest.skip("a file does not say that it is read too often")
