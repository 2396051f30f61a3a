"""The provider that the how-to shows keeps to the contract."""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

import pytest
from docs_lab import DOCS, Page
from kit_lab import rules_of, run_rule

from directlane import Provider, Reply
from directlane.testing import Asked, Canaries, Listed, ProviderContract

PAGE = DOCS / "how-to" / "write-a-provider.md"


class AcmeCase(ProviderContract):
    hidden = frozenset({"key"})

    def route(self, secret: Canaries) -> Mapping[str, object]:
        keys = {"key": secret("key"), "model_key": secret("model_key")}
        return {"registry": "registry.acme", "service": "ranking", **keys}

    def answer(self, query: Asked, listed: Sequence[Listed]) -> Reply:
        servers = [{"host": each.host, "port": each.port, "load": each.weight} for each in listed]
        return Reply(200, content=json.dumps({"servers": servers}).encode())

    def other_routes(self, secret: Canaries) -> Sequence[Mapping[str, object]]:
        return [{**self.route(secret), "service": "another"}]


@pytest.fixture
def case(workshop: Path) -> type[AcmeCase]:
    block = next(block for block in Page(PAGE, PAGE.read_text("utf-8")).blocks("python") if block.mark[:6] == "file: ")
    file = workshop / block.mark.removeprefix("file: ")
    file.write_text(block.code, "utf-8")
    shown = importlib.import_module(file.stem)

    class Case(AcmeCase):
        model = cast("type[Provider]", shown.AcmeProvider)

    return Case


def test_the_provider_of_the_how_to_keeps_every_rule(case: type[AcmeCase]) -> None:
    for rule in rules_of(case):
        try:
            run_rule(case, rule)
        except pytest.skip.Exception as skipped:
            if str(skipped) not in NOT_SHOWN:
                raise AssertionError(f"{rule}: {skipped}") from skipped
        except AssertionError as error:
            raise AssertionError(f"{rule}: {error}") from error


NOT_SHOWN = {
    "`token-refresh` is not claimed",
    "`signing` is not claimed",
    "`watch` is not claimed",
    "there is no upkeep",
}
