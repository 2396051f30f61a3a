"""The package as directlane sees it: it must be installed."""

import json
import subprocess
import sys


def said(*words: str) -> str:
    command = [sys.executable, "-m", "directlane.core.cli", *words]
    return subprocess.run(command, capture_output=True, check=True, text=True).stdout


def test_it_is_listed_and_comes_from_this_distribution() -> None:
    facts = json.loads(said("providers", "--json"))
    rows = {row["name"]: row for row in facts["providers"]}
    assert rows["etcd"]["from"].startswith("directlane-etcd ")
    assert facts["broken"] == []


def test_its_settings_are_in_the_json_schema() -> None:
    assert "Prefix of the keys, such as /services/chat/." in said("schema")
