"""`emulate`: what it prints can be used as it is, and it cleans up."""

from __future__ import annotations

import json
import re
import signal
import tomllib
from pathlib import Path

import pytest
from cli_lab import begun, children_of, is_there, needs_proc, run


@needs_proc
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 0)])
def test_its_configuration_works_until_it_is_interrupted(number: signal.Signals, status: int, tmp_path: Path) -> None:
    with begun("emulate", "--instances", "1", "-o", "lab.toml", folder=tmp_path) as process:
        assert process.stderr is not None
        assert process.stdout is not None
        ready = process.stderr.readline()
        assert ready.startswith("ready: 2 emulated clouds are running")
        file = tmp_path / "lab.toml"
        text = file.read_text()
        values = dict(re.findall(r"^#   export (\w+)=(\S+)$", text, re.MULTILINE))
        for service in tomllib.loads(text)["services"]:
            result = run("call", "-c", str(file), service, "-d", "[1, 2]", **values)
            assert result.exit_code == 0, result.stderr
            assert json.loads(result.stdout)["bytes"] == 6
        children = children_of(process.pid)
        assert len(children) == 2
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
    assert process.returncode == status
    assert err.strip() == ""
    assert out.strip() == text.strip()
    assert not any(is_there(child) for child in children)


def test_any_provider_with_an_emulator(tmp_path: Path) -> None:
    with begun("emulate", "--cloud", "static", "--instances", "2", folder=tmp_path) as process:
        assert process.stderr is not None
        assert process.stderr.readline().startswith("ready: 1 emulated cloud")
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=30)
    assert len(tomllib.loads(out)["services"]["static"]["routes"][0]["addresses"]) == 2
