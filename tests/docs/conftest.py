"""Two emulated clouds, and a folder with the configuration file that the examples of the docs expect."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pytest
from door_lab import TOKEN, Llm, llm_of

from directlane.providers.alibaba_eas.emulator import EasEmulator
from directlane.providers.huawei_modelarts.emulator import ModelArtsEmulator


@dataclass(frozen=True, slots=True)
class Clouds:
    """Both clouds, and a language model at plain addresses, started."""

    eas: EasEmulator
    modelarts: ModelArtsEmulator
    llm: Llm


@pytest.fixture(scope="session")
def clouds() -> Iterator[Clouds]:
    with EasEmulator(3) as eas, ModelArtsEmulator(2, user_limit=(10_000, 60.0)) as modelarts, llm_of(2) as llm:
        yield Clouds(eas, modelarts, llm)


@pytest.fixture
def workshop(clouds: Clouds, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The working directory. Its `directlane.toml` is as `directlane emulate` writes it, with `chat` and `llm` more."""
    eas, modelarts = clouds.eas.route(), clouds.modelarts.route()
    llm = {**clouds.llm.route(), "token": "${LLM_TOKEN}"}
    monkeypatch.setenv("LLM_TOKEN", TOKEN)
    text = ""
    for service, route in {"scorecard": eas, "flowers": modelarts, "chat": eas, "llm": llm}.items():
        text += f"[services.{service}]\nrepeatable = true\n[[services.{service}.routes]]\n"
        text += "".join(f"{key} = {_toml(value)}\n" for key, value in route.items())
    (tmp_path / "directlane.toml").write_text(text, "utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    for name, value in {**clouds.eas.environment, **clouds.modelarts.environment}.items():
        monkeypatch.setenv(name, value)
    importlib.invalidate_caches()
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]  # another page may have a file of the same name


def _toml(value: object) -> str:
    if isinstance(value, dict):
        table = cast("dict[str, object]", value)
        return "{ " + ", ".join(f"{key} = {_toml(item)}" for key, item in table.items()) + " }"
    return f'"{value}"' if isinstance(value, str) else str(value)
