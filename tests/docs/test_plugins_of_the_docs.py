"""The plug-ins that the pages show do real calls."""

from __future__ import annotations

import importlib
from pathlib import Path

from docs_lab import DOCS, Page

from directlane import Client
from directlane.core.emulation import LoopbackServer, ServerReply, ServerRequest, ThreadInstance, json_reply
from directlane.core.plugins.registry import Registered, Registry, load_plugins


def _with_plugin_of(page_name: str, workshop: Path) -> Registry:
    """The built-in plug-ins, and the one in the file that the page shows."""
    path = DOCS / page_name
    block = next(block for block in Page(path, path.read_text("utf-8")).blocks("python") if block.mark[:6] == "file: ")
    file = workshop / block.mark.removeprefix("file: ")
    file.write_text(block.code, "utf-8")
    registry = load_plugins()
    registry.add(importlib.import_module(file.stem), Registered("shown", "docs 1"))
    return registry


def test_the_provider_finds_instances_and_calls_them(workshop: Path) -> None:
    registry = _with_plugin_of("how-to/write-a-provider.md", workshop)
    keys: list[str | None] = []

    with ThreadInstance("one") as one, ThreadInstance("two") as two:

        def answer(request: ServerRequest) -> ServerReply:
            keys.append(request.header("x-key"))
            servers = [{"host": each.host, "port": each.port, "load": 1} for each in (one, two)]
            return json_reply({"servers": servers} if request.path == "/v1/services/ranking" else {})

        server = LoopbackServer(answer)
        server.start()
        try:
            route = {"provider": "acme", "registry": server.url[7:], "service": "ranking", "key": "${KEY}"}
            data = {"services": {"ranking": {"routes": [route]}}}
            with Client.from_data(data, environment={"KEY": "secret-key"}, registry=registry) as client:
                replies = [client.service("ranking").send(b"[]", path="/x").json() for _ in range(4)]
        finally:
            server.stop()
    assert {reply["path"] for reply in replies} == {"/serve/ranking/x"}
    assert sorted(reply["instance"] for reply in replies) == ["one", "one", "two", "two"]
    assert set(keys) == {"secret-key"}


def test_the_balancer_avoids_the_busy_endpoint_and_who_was_tried(workshop: Path) -> None:
    registry = _with_plugin_of("how-to/balancers.md", workshop)
    with ThreadInstance("one") as one, ThreadInstance("two") as two:
        route = {"provider": "static", "addresses": [one.url, two.url]}
        service = {"balancer": {"kind": "less_busy", "draws": 20}, "routes": [route]}
        with Client.from_data({"services": {"chat": service}}, registry=registry) as client:
            with client.service("chat").stream(b'{"stream": true}') as reply:
                assert reply.endpoint is not None
                held = reply.endpoint.port
                others = [client.service("chat").send(b"[]").endpoint for _ in range(5)]
                assert all(other is not None and other.port != held for other in others)
            one.kill()
            assert {client.service("chat").send(b"[]").json()["instance"] for _ in range(10)} == {"two"}
