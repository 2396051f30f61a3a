"""Without httpx2, everything but its door works, and the door says how to get it."""

from __future__ import annotations

import subprocess
import sys

import pytest
from client_lab import Fleet

from directlane import Client, httpx2_transport

COLOURS = ("directlane.core.client._sync", "directlane.core.client._async")


def test_the_error_names_the_extra(single: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in COLOURS:  # as if the door had never been opened
        monkeypatch.delattr(f"{name}.httpx2_door", raising=False)
        monkeypatch.delitem(sys.modules, f"{name}.httpx2_door", raising=False)
    monkeypatch.setitem(sys.modules, "httpx2", None)
    with Client.from_data(single.data()) as client:
        with pytest.raises(ImportError, match=r"directlane\[httpx2\]"):
            client.httpx2("svc")
        with pytest.raises(ImportError, match=r"directlane\[httpx2\]"):
            httpx2_transport(client.service("svc"))
        with client.http("svc") as http:
            assert http.get("/").status_code == 200


def test_importing_directlane_does_not_import_httpx2() -> None:
    code = "import sys, directlane; raise SystemExit('httpx2' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
