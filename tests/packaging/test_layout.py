"""The packaging holds: each top-level folder is its subpackage, whatever the way of installing."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import entry_points, version
from pathlib import Path

import pytest

import directlane

ROOT = Path(__file__).parents[2]
FROM_WHEEL = os.environ.get("DIRECTLANE_TESTS") == "wheel"
FOLDERS = ("core", "providers", "balancers")


@pytest.mark.parametrize("folder", FOLDERS)
def test_each_folder_is_its_subpackage(folder: str) -> None:
    module = __import__(f"directlane.{folder}", fromlist=["__file__"])
    assert module.__file__ is not None
    home = Path(module.__file__).resolve().parent
    if FROM_WHEEL:
        assert home.parent == Path(directlane.__file__).resolve().parent
        assert ROOT not in home.parents or "site-packages" in home.parts
    else:
        assert home == ROOT / folder


def test_no_folder_was_imported_under_its_bare_name() -> None:
    assert not set(FOLDERS) & set(sys.modules)


def test_kit_is_there_and_comes_in_when_it_is_asked_for() -> None:
    """`import directlane` must not need pytest; the kit stands beside it."""
    home = Path(directlane.__file__).resolve().parent
    assert (home / "testing" / "__init__.py").is_file()
    assert (home / "testing" / "plugin.py").is_file()


def test_types_are_shipped() -> None:
    assert (Path(directlane.__file__).parent / "py.typed").is_file()


def test_built_ins_come_through_the_entry_points() -> None:
    names = {point.name for point in entry_points(group="directlane")}
    assert {
        "alibaba_eas",
        "dns",
        "file",
        "huawei_modelarts",
        "kubernetes",
        "static",
        "balancers",
        "transports",
        "stores",
    } <= names


def test_import_does_nothing() -> None:
    """No thread is started, no plug-in is loaded, and nothing comes in that only some users need."""
    code = (
        "import sys, threading, directlane; directlane.Client; "
        "assert threading.active_count() == 1, threading.enumerate(); "
        "late = ('yaml', 'trio', 'pytest', 'directlane.testing', 'directlane.core.emulation', "
        "'directlane.core.cli.app', 'directlane.providers'); "
        "print([name for name in late if name in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.strip() == "[]"


def test_a_part_is_had_without_the_client() -> None:
    """Emulated instances are processes, and many are started: they shall not wait for what they do not use."""
    code = (
        "import sys, directlane.core.emulation.instance_process; "
        "late = ('httpx', 'pydantic', 'stamina', 'directlane.core.client'); "
        "print([name for name in late if name in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout.strip(), ran.stderr) == (0, "[]", "")


def test_a_name_that_is_not_there_is_told_and_brings_nothing_in() -> None:
    code = (
        "import sys, directlane\n"
        "assert 'Client' in dir(directlane)\n"
        "try: directlane.Clent\n"
        "except AttributeError as error: print(error)\n"
        "assert 'directlane.core.client' not in sys.modules"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (ran.stdout.strip(), ran.stderr) == ("module 'directlane' has no attribute 'Clent'", "")


def test_public_names_are_there_and_sorted() -> None:
    names = list(directlane.__all__)
    assert len(names) == len(set(names))
    missing = [name for name in names if not hasattr(directlane, name)]
    assert missing == []
    others = {"emulation", "testing", "import_module", "TYPE_CHECKING", *FOLDERS}
    public = {name for name in vars(directlane) if not name.startswith("_") and name not in others}
    assert public <= set(names), "a public name is missing in __all__"


def test_version_is_that_of_the_distribution() -> None:
    assert directlane.__version__ == version("directlane")
