"""An instance on a list that nobody corrects dies and comes back: over real sockets, with the thread of the hub."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from directlane import Client, EndpointView
from directlane.core.client import Service


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name in the base class
        """Nothing."""


class Place:
    """An address at which a server may stand."""

    def __init__(self) -> None:
        self.port = 0
        self._server: ThreadingHTTPServer | None = None
        self.start()

    def start(self) -> None:
        server = self._server = ThreadingHTTPServer(("127.0.0.1", self.port), _Handler)
        self.port = server.server_port
        threading.Thread(target=lambda: server.serve_forever(0.01), daemon=True).start()

    def stop(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.server_close()


@pytest.fixture
def places() -> Iterator[list[Place]]:
    places = [Place(), Place()]
    yield places
    for place in places:
        place.stop()


def client_of(places: list[Place], **ejection: object) -> Client:
    addresses = [f"http://127.0.0.1:{place.port}" for place in places]
    service = {"routes": [{"provider": "static", "addresses": addresses}], "slow_start": 0, "ejection": ejection}
    return Client.from_data({"services": {"svc": service}})


def view_of(service: Service, place: Place) -> EndpointView:
    return next(view for view in service.endpoints() if view.endpoint.port == place.port)


def test_a_dead_instance_that_stays_listed_costs_two_calls_a_detour(places: list[Place]) -> None:
    dead, _ = places
    with client_of(places, base_time="1h", max_time="1h") as client:
        service = client.service("svc")
        dead.stop()
        replies = [service.send(b"x") for _ in range(40)]
        view = view_of(service, dead)
        assert all(reply.ok for reply in replies), "a refused connection is no failed call"
        # Calls may be quicker than the thread that makes the new picker: a few more at the most, and none at its end.
        assert 2 <= view.attempts <= 20
        assert (view.state, view.reason) == ("ejected", "2 connections in a row could not be opened")
        assert view.returns_in is not None
        assert 0.7 * 3600 < view.returns_in <= 3600
        later = [service.send(b"x") for _ in range(20)]
        assert all(reply.attempts == 1 for reply in later)
        assert view_of(service, dead).attempts == view.attempts


def test_it_comes_back_after_its_restart_and_no_call_fails(places: list[Place]) -> None:
    dead, _ = places
    with client_of(places, base_time="20ms", max_time="100ms") as client:
        service = client.service("svc")
        dead.stop()
        while view_of(service, dead).state == "ready":
            assert service.send(b"x").ok
        ends_at = time.monotonic() + 60
        while view_of(service, dead).errors < 4:
            assert service.send(b"x").ok
            assert time.monotonic() < ends_at, "no probe came"
        dead.start()
        while view_of(service, dead).state != "ready":
            assert service.send(b"x").ok
            assert time.monotonic() < ends_at, "it does not come back"
        before = view_of(service, dead).attempts
        while view_of(service, dead).attempts < before + 5:
            assert service.send(b"x").ok
            assert time.monotonic() < ends_at, "it gets no calls"


def test_no_thread_for_those_who_need_none(places: list[Place]) -> None:
    with client_of(places) as client:
        for _ in range(10):
            assert client.service("svc").send(b"x").ok
        assert "directlane-discovery" not in {thread.name for thread in threading.enumerate()}


def test_closing_the_client_ends_the_thread(places: list[Place]) -> None:
    with client_of(places, base_time="1h", max_time="1h") as client:
        places[0].stop()
        while view_of(client.service("svc"), places[0]).state == "ready":
            client.service("svc").send(b"x")
    ends_at = time.monotonic() + 20
    while "directlane-discovery" in {thread.name for thread in threading.enumerate()} and time.monotonic() < ends_at:
        time.sleep(0.005)
    assert "directlane-discovery" not in {thread.name for thread in threading.enumerate()}
