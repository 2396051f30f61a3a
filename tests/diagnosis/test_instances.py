"""What the doctor says of instances: real servers on loopback, each with a trouble of its own."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from doctor_lab import examined, listening, reset, static
from fault_lab import Wall

from directlane.core.emulation.exchange import ServerReply, ServerRequest
from directlane.core.emulation.server import LoopbackServer


def answering(status: int) -> LoopbackServer:
    def handler(request: ServerRequest) -> ServerReply:
        return ServerReply(status)

    return LoopbackServer(handler)


@pytest.mark.parametrize("status", [200, 204, 404, 405])
def test_any_answer_of_http_is_well(tmp_path: Path, status: int) -> None:
    with answering(status) as server:
        told = examined(static(server.url), tmp_path)
    found = told.one("http-answered")
    assert found["about"] == f"127.0.0.1:{server.port}"
    assert found["found"] == f"answered {status} to GET /"
    assert (found["service"], found["route"], found["level"]) == ("scorecard", "static-1", "ok")
    assert found["seconds"] >= 0
    assert told.exit_code == 0


@pytest.mark.parametrize(
    ("status", "code", "level"),
    [
        (401, "http-unauthorized", "problem"),
        (403, "http-unauthorized", "problem"),
        (429, "http-busy", "note"),
        (500, "http-error", "warning"),
        (503, "http-error", "warning"),
    ],
)
def test_status_that_means_trouble_is_told(tmp_path: Path, status: int, code: str, level: str) -> None:
    with answering(status) as server:
        told = examined(static(server.url), tmp_path)
    found = told.one(code)
    assert found["level"] == level
    assert f"answered {status}" in found["found"]
    assert found["cause"]
    assert found["next"]
    assert told.exit_code == (1 if level == "problem" else 0)


def test_port_where_nobody_listens_is_refused(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    told = examined(static(f"http://127.0.0.1:{port}"), tmp_path)
    found = told.one("tcp-refused")
    assert "nobody listens: the instance is starting or has gone, or the port is wrong" in found["cause"]
    assert told.exit_code == 1


def test_packets_that_are_dropped_are_told_as_a_matter_of_the_network(tmp_path: Path) -> None:
    wall = Wall()
    told = examined(static(wall.url, connect_timeout="300ms"), tmp_path)
    wall.close()
    found = told.one("tcp-timeout")
    assert found["found"].startswith("no answer within")
    for word in ("security group", "vSwitch", "VPC peering", "resource pool"):
        assert word in found["cause"]


def test_name_that_has_no_address_is_told(tmp_path: Path) -> None:
    found = examined(static("http://nobody.invalid:80"), tmp_path).one("tcp-name")
    assert "the name is wrong" in found["cause"]


def test_service_that_speaks_no_http_is_a_note(tmp_path: Path) -> None:
    def talk(connection: socket.socket) -> None:
        connection.recv(1000)
        connection.sendall(b"+PONG\r\n-ERR what is that?\r\n")

    with listening(talk) as port:
        found = examined(static(f"http://127.0.0.1:{port}"), tmp_path).one("http-not-http")
    assert found["level"] == "note"
    assert "TCP, gRPC" in found["cause"]


@pytest.mark.parametrize("how", ["reset", "close"])
def test_connection_that_ends_without_an_answer_is_a_note(tmp_path: Path, how: str) -> None:
    with listening(reset if how == "reset" else lambda connection: None) as port:
        found = examined(static(f"http://127.0.0.1:{port}"), tmp_path).one("http-reset")
    assert found["level"] == "note"
    assert "breaks down" in found["cause"]


def test_instance_that_does_not_answer_is_a_warning(tmp_path: Path) -> None:
    with listening(_read_all) as port:
        found = examined(static(f"http://127.0.0.1:{port}", timeout="300ms"), tmp_path).one("http-timeout")
    assert found["level"] == "warning"
    assert "still loads its model" in found["cause"]


def _read_all(connection: socket.socket) -> None:
    connection.settimeout(60)
    while connection.recv(1000):
        pass


def test_tls_to_a_plain_server_is_told(tmp_path: Path) -> None:
    with answering(200) as server:
        found = examined(static(f"https://127.0.0.1:{server.port}"), tmp_path)
    assert found.one("http-tls")["level"] == "problem"


def test_no_more_than_64_instances_are_looked_at(tmp_path: Path) -> None:
    with answering(200) as server:
        urls = [f"http://127.0.0.1:{server.port}/i{number}" for number in range(70)]
        told = examined(static(*urls), tmp_path)
    assert told.codes.count("http-answered") == 64
    assert told.one("instances-not-all")["found"] == "64 of 70 instances were looked at"
