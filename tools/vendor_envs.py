"""Makes the environments of packages that some tests compare with, or work with, and that do not fit beside the others.

    python tools/vendor_envs.py            all
    python tools/vendor_envs.py eas        only the one with the SDK of PAI-EAS

Each gets an environment of its own below `.vendor/`: one of them pins a protobuf that is years old, one needs an older
client of OpenAI than the tests have. What is there already is left alone. Standard library only, so any Python will do
to run it.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import venv
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = {
    "eas": ("eas-prediction==0.36",),
    "alibaba": ("alibabacloud-eas20210701==7.0.0", "alibabacloud-tea-openapi==0.4.6"),
    "huawei": ("huaweicloudsdkcore==3.1.219",),
    "langchain": ("langchain-openai==1.7.3", "openai==2.54.0"),
}
WITH_US = frozenset({"langchain"})
"""Where directlane itself is installed as well, from its sources."""


def python_of(folder: Path) -> Path:
    """The interpreter of an environment."""
    return folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def has_packages(folder: Path, requirements: tuple[str, ...]) -> bool:
    """Whether the environment is there and has exactly these packages."""
    if not python_of(folder).exists():
        return False
    wanted = dict(requirement.split("==") for requirement in requirements)
    code = f"import importlib.metadata as m; raise SystemExit(any(m.version(n) != v for n, v in {wanted!r}.items()))"
    return subprocess.run([python_of(folder), "-c", code], stderr=subprocess.DEVNULL, check=False).returncode == 0


def make(folder: Path, arguments: tuple[str, ...]) -> None:
    """Make the environment anew, with what these arguments of pip name.

    Raises:
        subprocess.CalledProcessError: pip failed; it has said why.
    """
    if folder.exists():
        shutil.rmtree(folder)
    venv.create(folder, with_pip=True)
    pip = [python_of(folder), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *arguments]
    try:
        subprocess.run(pip, check=True)
    except BaseException:
        shutil.rmtree(folder)  # half an environment would look like a whole one
        raise


def ensure(name: str) -> bool:
    """Make one environment if it is missing; say what was done, and return whether it is there."""
    folder, requirements = ROOT / ".vendor" / name, PACKAGES[name]
    shown, what = folder.relative_to(ROOT), " and ".join(requirements)
    if has_packages(folder, requirements):
        print(f"{shown}: {what} is there already")
        return True
    print(f"{shown}: installing {what} ...", flush=True)
    try:
        make(folder, (*requirements, "-e", str(ROOT)) if name in WITH_US else requirements)
    except subprocess.CalledProcessError as error:
        print(f"{shown}: pip failed with status {error.returncode}; see above", file=sys.stderr)
        return False
    print(f"{shown}: made with {what}")
    return True


def main() -> int:
    """Make what is missing; say what was done."""
    parser = argparse.ArgumentParser(description="Make the environments of packages for some tests.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(PACKAGES)}; default: all")
    names = parser.parse_args().names or list(PACKAGES)
    unknown = [name for name in names if name not in PACKAGES]
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}; there are {', '.join(PACKAGES)}")
    with ThreadPoolExecutor() as pool:  # pip waits for the network, and then for one core
        return 0 if all(list(pool.map(ensure, names))) else 1


if __name__ == "__main__":
    sys.exit(main())
