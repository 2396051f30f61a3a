"""Runs `directlane doctor` over configurations, and finds findings."""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cli_lab import run

from directlane.core.cli.toml_text import toml_text

__all__ = ["Told", "examined", "listening", "one_route", "reset", "static"]


@dataclass(frozen=True, slots=True)
class Told:
    """What the doctor said."""

    findings: list[dict[str, Any]]
    exit_code: int
    text: str

    def one(self, code: str) -> dict[str, Any]:
        """The only finding with this code."""
        (found,) = [finding for finding in self.findings if finding["code"] == code]
        return found

    @property
    def codes(self) -> list[str]:
        return [finding["code"] for finding in self.findings]

    @property
    def bad(self) -> list[str]:
        """The codes of what is not well."""
        return [finding["code"] for finding in self.findings if finding["level"] in ("warning", "problem")]


def one_route(route: Mapping[str, object], *, top: Mapping[str, object] | None = None, **service: object) -> str:
    """A configuration of one service with one route. Limits bear a slow machine."""
    plan = {"connect_timeout": "20s", "discovery": {"timeout": "20s"}, "routes": [dict(route)], **service}
    return toml_text({**(top or {}), "services": {"scorecard": plan}})


def static(*urls: str, **service: Any) -> str:
    """A configuration of addresses that are written by hand."""
    return one_route({"provider": "static", "addresses": list(urls)}, **service)


def examined(text: str, folder: Path, *options: str, **variables: Any) -> Told:
    """What the doctor says of a configuration, as JSON and as text."""
    file = folder / "doctor.toml"
    file.write_text(text)
    result = run("doctor", "-c", str(file), "--json", *options, **variables)
    assert "Traceback" not in result.output, result.output
    return Told(json.loads(result.stdout)["findings"], result.exit_code, result.stdout)


Talk = Callable[[socket.socket], None]


@contextmanager
def listening(talk: Talk) -> Generator[int]:
    """The port of a server that does the same with each connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    try:
                        talk(connection)
                    except OSError:
                        continue

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()
            thread.join(20)


def reset(connection: socket.socket) -> None:
    """Read something, and reset the connection."""
    connection.recv(1000)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
