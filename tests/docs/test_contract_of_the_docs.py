"""The provider that the how-to shows keeps to the contract."""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from docs_lab import DOCS, Page
from kit_lab import rules_of, run_rule

from directlane import Discovery, Provider, Query, Reply
from directlane.core.testing.provider_watch import WatchRules
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

    def change(self, listed: Sequence[Listed], after: Sequence[Listed]) -> Sequence[bytes]:
        return [self.answer(Query("http://registry.acme"), after).content + b"\n"]


def shown(workshop: Path, name: str) -> Any:
    """A module that the page shows."""
    blocks = Page(PAGE, PAGE.read_text("utf-8")).blocks("python")
    block = next(block for block in blocks if block.mark == f"file: {name}.py")
    (workshop / f"{name}.py").write_text(block.code, "utf-8")
    return importlib.import_module(name)


@pytest.fixture
def case(workshop: Path) -> type[AcmeCase]:
    class Case(AcmeCase):
        model = cast("type[Provider]", shown(workshop, "directlane_acme").AcmeProvider)

    return Case


def test_the_watch_of_the_how_to_keeps_the_rules_for_watches(case: type[AcmeCase], workshop: Path) -> None:
    watching = shown(workshop, "watching_acme").WatchingAcmeDiscovery
    provider: Any = case.model

    class Watching(provider):  # type: ignore[misc]  # it is on a page
        facts = replace(provider.facts, capabilities=provider.facts.capabilities | {"watch"})

        def discovery(self) -> Discovery:
            return cast("Discovery", watching(self.registry, self.service, self.key))

    class Case(case):  # type: ignore[misc,valid-type]  # made for this test
        model = Watching

    for rule in rules_of(WatchRules):
        run_rule(Case, rule)


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
