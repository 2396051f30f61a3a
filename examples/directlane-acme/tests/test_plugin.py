"""The package as directlane sees it: it must be installed."""

import json
import subprocess
import sys


def test_both_are_listed_and_come_from_this_distribution() -> None:
    for command, name in (("balancers", "zone_first"), ("transports", "http_client")):
        words = [sys.executable, "-m", "directlane.core.cli", command, "--json"]
        facts = json.loads(subprocess.run(words, capture_output=True, check=True).stdout)
        rows = {row["name"]: row for row in facts[command]}
        assert rows[name]["from"].startswith("directlane-acme ")
        assert facts["broken"] == []


def test_their_settings_are_in_the_json_schema() -> None:
    words = [sys.executable, "-m", "directlane.core.cli", "schema"]
    schema = subprocess.run(words, capture_output=True, check=True, text=True).stdout
    assert "An endpoint with so many open calls is full." in schema
    assert "An idle connection is not used after this time." in schema
