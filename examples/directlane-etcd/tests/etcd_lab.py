"""A real etcd on free ports, in a temporary folder."""

from __future__ import annotations

import base64
import json
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

__all__ = ["Etcd", "until"]


def until(condition: Callable[[], object], seconds: float = 30.0) -> None:
    """Wait for something that happens in another thread or process."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it does not come"
        time.sleep(0.002)


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


class Etcd:
    """One member. `start` after `stop` goes on with the same data at the same port."""

    def __init__(self, folder: Path) -> None:
        binary = shutil.which("etcd")
        if binary is None:
            pytest.skip("etcd is not installed; on Debian: apt-get install etcd-server")
        self._binary = binary
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._http = httpx.Client(trust_env=False, timeout=10)
        self._ports = (_free_port(), _free_port())
        self.url = f"http://127.0.0.1:{self._ports[0]}"

    def start(self) -> None:
        for _ in range(5):
            peer = f"http://127.0.0.1:{self._ports[1]}"
            words = [
                *(self._binary, "--name", "one", "--data-dir", str(self._folder / "data")),
                *("--listen-client-urls", self.url, "--advertise-client-urls", self.url),
                *("--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer),
                *("--initial-cluster", f"one={peer}", "--log-level", "error"),
                "--unsafe-no-fsync=true" if self._knows_no_fsync() else "--max-snapshots=1",
            ]
            self._process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            if self._comes():
                return
            # Somebody took a port in the meantime. Nothing is registered yet, so any other will do.
            self.stop()
            self._ports = (_free_port(), _free_port())
            self.url = f"http://127.0.0.1:{self._ports[0]}"
            shutil.rmtree(self._folder / "data", ignore_errors=True)
        raise RuntimeError("etcd does not start")

    def _knows_no_fsync(self) -> bool:
        told = subprocess.run([self._binary, "--help"], capture_output=True, check=False)
        return b"unsafe-no-fsync" in told.stdout + told.stderr

    def _comes(self) -> bool:
        end = time.monotonic() + 30
        while time.monotonic() < end and self._process is not None and self._process.poll() is None:
            try:
                if self.ask("kv/range", {"key": _coded("x")}):
                    return True
            except httpx.HTTPError:
                time.sleep(0.02)
        return False

    def stop(self) -> None:
        """End it at once, as a crash does."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()

    def close(self) -> None:
        self.stop()
        self._http.close()

    def ask(self, what: str, body: dict[str, Any], **more: Any) -> dict[str, Any]:
        reply = self._http.post(f"{self.url}/v3/{what}", content=json.dumps(body), **more)
        reply.raise_for_status()
        answer: dict[str, Any] = reply.json()
        return answer

    def put(self, key: str, value: str, lease: str = "0") -> None:
        self.ask("kv/put", {"key": _coded(key), "value": _coded(value), "lease": lease})

    def delete(self, key: str) -> None:
        self.ask("kv/deleterange", {"key": _coded(key)})

    def lease(self, seconds: int) -> str:
        identity: str = self.ask("lease/grant", {"TTL": str(seconds)})["ID"]
        return identity


def _coded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
