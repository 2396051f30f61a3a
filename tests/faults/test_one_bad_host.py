"""One of three hosts misbehaves in every way that is known to us; the other two are well, in processes of their own.

Calls that may be repeated do not notice. The bad host stays listed, and gets few calls.
"""

from __future__ import annotations

import socket
from typing import Any

import pytest
from fault_lab import CALLERS, RUNNERS, SCRIPTS, Run, Wall, call_until, stopped, views_by_port
from wire_lab import RawServer, read_request

from directlane import Client, Phase
from directlane.core.emulation import ProcessInstance

CALLS = 60


def data_of(bad: str, well: list[ProcessInstance], **service: object) -> dict[str, Any]:
    addresses = [bad, *(instance.url for instance in well)]
    calls: dict[str, object] = {
        "timeout": "60s",
        "connect_timeout": "20s",
        "repeatable": True,
        "slow_start": 0,
        "ejection": {"base_time": "1h", "max_time": "1h"},
        **service,
    }
    return {"services": {"svc": {"routes": [{"provider": "static", "addresses": addresses}], **calls}}}


@RUNNERS
@pytest.mark.parametrize("script", SCRIPTS)
def test_nobody_notices(well: list[ProcessInstance], run: Run, script: str) -> None:
    # Only who sends byte by byte can be told by nothing but the time.
    limits = {"attempt_timeout": "0.5s", "attempts": 5} if "byte" in script else {}
    with RawServer(SCRIPTS[script]) as bad:
        port = bad.endpoint.port
        tally = run(data_of(bad.endpoint.url, well, **limits), CALLS)
    assert tally.failed == []
    assert len(tally.replies) == CALLS
    assert tally.ports == {instance.port for instance in well}
    view = tally.view(port)
    assert view.state == "ejected"
    assert view.errors == view.attempts
    # Five in a row are enough; each caller may have one more on its way, and the new picker takes a moment.
    assert view.attempts <= 5 + 3 * CALLERS


@RUNNERS
def test_no_connection_costs_at_most_one_connect_timeout_a_call(well: list[ProcessInstance], run: Run) -> None:
    wall = Wall("127.0.0.4")
    try:
        tally = run(data_of(wall.url, well, connect_timeout="0.5s", attempts=5), CALLS)
    finally:
        wall.close()
    assert tally.failed == []
    assert tally.ports == {instance.port for instance in well}
    view = tally.view(wall.port)
    assert view.state == "ejected"
    # All that wait when the second one is over.
    assert 2 <= view.attempts <= 2 + CALLERS


@RUNNERS
def test_calls_that_must_not_repeat_fail_only_where_they_may_have_run(well: list[ProcessInstance], run: Run) -> None:
    with RawServer(SCRIPTS["reads the request and closes"]) as bad:
        port = bad.endpoint.port
        tally = run(data_of(bad.endpoint.url, well, repeatable=False), CALLS)
    assert len(tally.failed) == tally.view(port).errors <= 5 + 3 * CALLERS
    assert {(error.phase, error.may_have_run, len(error.attempts)) for error in tally.failed} == {(Phase.WAIT, True, 1)}


def test_a_process_that_is_stopped_and_goes_on(well: list[ProcessInstance]) -> None:
    """SIGSTOP: the kernel takes connections and requests, and nobody answers. Only the time can tell."""
    ejection = {"consecutive_failures": 2, "base_time": "0.2s", "max_time": "0.5s"}
    with ProcessInstance("sleeper") as sleeper:
        data = data_of(sleeper.url, well, attempt_timeout="0.5s", attempts=5, ejection=ejection)
        with Client.from_data(data) as client:
            service = client.service("svc")

            def state() -> str:
                return views_by_port(service)[sleeper.port].state

            call_until(service, lambda: views_by_port(service)[sleeper.port].attempts > 0)
            with stopped(sleeper):
                call_until(service, lambda: state() == "ejected")
                errors = views_by_port(service)[sleeper.port].errors
                call_until(service, lambda: views_by_port(service)[sleeper.port].errors > errors)  # a probe
            call_until(service, lambda: state() == "ready")
            ran = sleeper.requests
            call_until(service, lambda: sleeper.requests > ran)


def test_a_process_that_is_stopped_and_a_second_attempt_beside(well: list[ProcessInstance]) -> None:
    """With a hedge nobody waits for the end of an attempt: no limit of an attempt is set here."""
    with ProcessInstance("sleeper") as sleeper:
        data = data_of(sleeper.url, well, hedge={"after": "0.1s"}, retry_budget={"share": 1})
        with Client.from_data(data) as client, stopped(sleeper):
            service = client.service("svc")
            replies = [service.send(b"{}") for _ in range(12)]
            assert all(reply.ok for reply in replies)


ANSWERS = {
    404: b"HTTP/1.1 404 Not Found\r\ncontent-length: 9\r\n\r\nnot found",
    200: b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 16\r\n\r\n<html>hi!</html>",
}


@pytest.mark.parametrize("status", ANSWERS)
def test_another_service_at_the_port_is_not_told_from_ours(well: list[ProcessInstance], status: int) -> None:
    """An answer is an answer: only the list can say whose port it is. The reply says who gave it."""

    def script(connection: socket.socket, _: int) -> None:
        while read_request(connection) is not None:
            connection.sendall(ANSWERS[status])

    with RawServer(script) as other, Client.from_data(data_of(other.endpoint.url, well)) as client:
        port = other.endpoint.port
        service = client.service("svc")
        replies = [service.send(b"{}") for _ in range(9)]
        assert views_by_port(service)[port].state == "ready"
    theirs = [reply for reply in replies if reply.endpoint is not None and reply.endpoint.port == port]
    assert [reply.status for reply in theirs] == [status] * 3
