"""A real redis-server for tests: started on a free port of loopback, stopped, paused, emptied."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

__all__ = ["RedisServer", "free_port", "need_redis"]


def need_redis() -> str:
    """The program, or the end of the test with the reason."""
    found = shutil.which("redis-server") or shutil.which("valkey-server")
    if found is None:
        pytest.skip("there is no redis-server: apt-get install redis-server")
    return found


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


class RedisServer:
    """One server without persistence, so that a restart loses its memory.

    Args:
        folder: An empty folder of its own.
        options: More words for its command line.
    """

    def __init__(self, folder: Path, *options: str) -> None:
        self._program = need_redis()
        self._folder = folder
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0
        self.start()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start it, on the port that it had before if there was one."""
        for _ in range(5):
            port = self.port or free_port()
            words = [self._program, "--port", str(port), "--bind", "127.0.0.1", "--dir", str(self._folder)]
            words += ["--save", "", "--appendonly", "no", *self._options]
            self._process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            if self._is_ready():
                self.port = port
                return
        pytest.fail("redis-server does not start")

    def _is_ready(self) -> bool:
        assert self._process is not None
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if b"Ready to accept connections" in line:
                return True
        self._process.wait()  # somebody was quicker and has the port
        self._process.stdout.close()
        return False

    def stop(self) -> None:
        """End it; what it knew is gone. May be repeated."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(signal.SIGCONT)
            process.kill()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()

    def pause(self) -> None:
        """Let it hang: connections are accepted by the kernel, and nothing is answered."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        deadline = time.monotonic() + 10
        while "T" not in Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()[0]:
            assert time.monotonic() < deadline, "not stopped"
            time.sleep(0.001)

    def go_on(self) -> None:
        """End a pause."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def ask(self, *words: str) -> bytes:
        """What it answers to one command, as it stands on the wire."""
        command = f"*{len(words)}\r\n" + "".join(f"${len(word.encode())}\r\n{word}\r\n" for word in words)
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as connection:
            connection.sendall(command.encode())
            connection.shutdown(socket.SHUT_WR)
            answer = b""
            while piece := connection.recv(65536):
                answer += piece
        return answer
