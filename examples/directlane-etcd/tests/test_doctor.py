"""What `directlane doctor` says of a route to etcd: nobody is there, no key is there, all is well."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

from directlane.emulation import ThreadInstance

from etcd_lab import Etcd


def diagnosed(folder: Path, server: str, prefix: str) -> tuple[int, dict[str, dict[str, Any]]]:
    """The exit status, and the last finding of each check."""
    file = folder / "directlane.toml"
    route = f'[[services.chat.routes]]\nprovider = "etcd"\nservers = ["{server}"]\nprefix = "{prefix}"\n'
    file.write_text(f"[services.chat]\n{route}")
    words = [sys.executable, "-m", "directlane.core.cli", "doctor", "-c", str(file), "--json"]
    ran = subprocess.run(words, capture_output=True, check=False, text=True)
    return ran.returncode, {finding["check"]: finding for finding in json.loads(ran.stdout)["findings"]}


def test_an_etcd_that_is_not_there_is_named(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        status, findings = diagnosed(tmp_path, f"http://127.0.0.1:{taken.getsockname()[1]}", "/doctor/")
    assert status == 1
    asked = findings["control plane"]
    assert "/v3/kv/range" in asked["about"]
    assert asked["found"] == "the connection is refused"
    assert asked["next"] == "check the host and the port in the route's settings"
    assert findings["list"]["level"] == "problem"


def test_an_etcd_without_the_keys_is_told_apart(shared: Etcd, tmp_path: Path) -> None:
    status, findings = diagnosed(tmp_path, shared.url, "/doctor/nobody/")
    assert status == 1
    assert findings["control plane"]["level"] == "ok"
    assert findings["list"]["level"] == "problem"


def test_an_etcd_with_a_server_is_well(shared: Etcd, tmp_path: Path) -> None:
    with ThreadInstance("one") as one:
        shared.put("/doctor/one", one.url)
        status, findings = diagnosed(tmp_path, shared.url, "/doctor/")
    assert (status, {finding["level"] for finding in findings.values()}) == (0, {"ok"})
    assert findings["instance"]["about"] == f"127.0.0.1:{one.port}"
