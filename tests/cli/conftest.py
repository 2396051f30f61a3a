"""An emulated cloud for the commands, with a configuration file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_lab import Lab

from directlane.core.cli.clouds import Cloud, config_text, environment_of, started
from directlane.core.plugins.registry import load_plugins


@pytest.fixture(scope="session")
def eas() -> Iterator[Cloud]:
    with started(load_plugins(), ["alibaba_eas"], 2) as clouds:
        yield clouds[0]


@pytest.fixture
def lab(eas: Cloud, tmp_path: Path) -> Lab:
    file = tmp_path / "lab.toml"
    text = config_text([eas], command="test", file=file.name, discovery={"start_timeout": "2s"})
    file.write_text(text)
    return Lab(eas, file, environment_of([eas]))
