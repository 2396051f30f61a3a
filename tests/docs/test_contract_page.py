"""The written contract and the kit say the same, case by case; and each hook has its row."""

from __future__ import annotations

import re

from docs_lab import DOCS

from directlane.core.plugins.hooks import HOOK_VERSION, Hooks
from directlane.core.plugins.registry import load_plugins
from directlane.testing import BalancerContract, EmulatorContract, ProviderContract, StoreContract, TransportContract

CONTRACT = (DOCS / "reference" / "contract.md").read_text("utf-8")
PLUGINS = (DOCS / "reference" / "plugins.md").read_text("utf-8")


def test_every_rule_of_the_kit_has_its_row_and_no_other() -> None:
    contracts = (ProviderContract, EmulatorContract, BalancerContract, TransportContract, StoreContract)
    rules = {name for contract in contracts for name in dir(contract) if name.startswith("test_")}
    assert set(re.findall(r"^\| `(test_\w+)` \|", CONTRACT, re.MULTILINE)) == rules


def test_every_hook_has_its_row_and_no_other() -> None:
    hooks = {name for name in vars(Hooks) if name.startswith("directlane_")}
    assert set(re.findall(r"^\| `(directlane_\w+)` \|", CONTRACT, re.MULTILINE)) == hooks


def test_the_directory_names_what_is_built_in_and_the_version() -> None:
    rows = set(re.findall(r"^\| `(\w+)` \| .* \| built in", PLUGINS, re.MULTILINE))
    registry = load_plugins()
    built_in = {each.plugin for each in registry.origins.values() if each.distribution.startswith("directlane ")}
    assert rows == built_in
    assert f"now {HOOK_VERSION})" in PLUGINS
