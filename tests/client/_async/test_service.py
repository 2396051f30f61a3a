"""The lean door: bytes in, reply out. For async code."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable

import pytest
import stamina
from client_lab import Fleet, served

from directlane import (
    AsyncClient,
    AttemptsError,
    ClosedError,
    DeadlineError,
    EndpointLease,
    InvalidRequestError,
    NoEndpointError,
    Phase,
    StatusError,
    UnknownServiceError,
)
from directlane.core.emulation.server import Ending, ServerReply, ServerRequest

pytestmark = pytest.mark.anyio


async def test_a_call_reaches_an_instance(single: Fleet) -> None:
    async with AsyncClient.from_data(single.data()) as client:
        reply = await client.service("svc").send(b"[1]")
    assert reply.ok
    assert reply.json() == {"server": "s1", "path": "/", "bytes": 3}
    assert reply.endpoint is not None
    assert reply.endpoint.url == single.servers[0].server.url
    assert reply.raise_for_status() is reply


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("", "/"),
        ("/", "/"),
        ("/v1/x", "/v1/x"),
        ("v1/x", "/v1/x"),
        ("/?a=1", "/?a=1"),
        ("?a=1", "/?a=1"),
        ("/a b", "/a%20b"),
        ("/é?q=ü", "/%C3%A9?q=%C3%BC"),
    ],
)
async def test_paths(single: Fleet, path: str, target: str) -> None:
    async with AsyncClient.from_data(single.data()) as client:
        await client.service("svc").send(path=path, method="GET")
    assert single.seen()[0].target == target


async def test_headers_text_and_methods(single: Fleet) -> None:
    async with AsyncClient.from_data(single.data()) as client:
        await client.service("svc").send("grüß", headers={"X-A": "1"}, method="PUT")
        await client.service("svc").send(headers=[("X-B", "2"), ("X-B", "3")])
    put, post = single.seen()
    assert (put.method, put.content, put.header("x-a")) == ("PUT", "grüß".encode(), "1")
    assert [value for name, value in post.headers if name == "x-b"] == ["2", "3"]


async def test_headers_with_line_breaks_are_refused_before_anything_is_sent(single: Fleet) -> None:
    async with AsyncClient.from_data(single.data()) as client:
        for headers in ({"X-A": "1\r\nX-Evil: 2"}, {"X-A\r\nX-Evil": "1"}):
            with pytest.raises(InvalidRequestError):
                await client.service("svc").send(headers=headers)
        with pytest.raises(InvalidRequestError):
            await client.service("svc").send(path="/a\r\nX: 1")
        with pytest.raises(InvalidRequestError):
            await client.service("svc").send(method="GET / HTTP/1.1\r\n")
    assert single.seen() == []


async def test_calls_are_spread_evenly(fleet: Fleet) -> None:
    async with AsyncClient.from_data(fleet.data()) as client:
        for _ in range(30):
            await client.service("svc").send()
    assert [len(server.seen) for server in fleet.servers] == [10, 10, 10]


async def test_an_instance_that_is_gone_is_not_noticed(fleet: Fleet) -> None:
    async with AsyncClient.from_data(fleet.data()) as client:
        service = client.service("svc")
        await service.send()
        fleet.servers[0].server.stop()
        replies = [await service.send() for _ in range(12)]
    assert all(reply.ok for reply in replies)
    assert max(reply.attempts for reply in replies) == 2


async def test_service_of_nothing_but_gone_instances(fleet: Fleet) -> None:
    async with AsyncClient.from_data(fleet.data()) as client:
        for server in fleet.servers:
            server.server.stop()
        with pytest.raises(AttemptsError) as caught:
            await client.service("svc").send()
    assert len({record.endpoint.id for record in caught.value.attempts}) == 3
    assert caught.value.phase is Phase.CONNECT
    assert not caught.value.may_have_run
    assert "directlane endpoints" in str(caught.value)


async def test_status_that_asks_to_go_elsewhere(fleet: Fleet) -> None:
    fleet.servers[0].behaviour = lambda _: ServerReply(503)
    async with AsyncClient.from_data(fleet.data(repeatable=True)) as client:
        assert all([(await client.service("svc").send()).ok for _ in range(9)])
    async with AsyncClient.from_data(fleet.data()) as client:
        statuses = sorted([(await client.service("svc").send()).status for _ in range(9)])
    assert statuses == [200] * 6 + [503] * 3, "a POST that may have run is not repeated"


async def test_status_is_the_callers_business(single: Fleet) -> None:
    single.servers[0].behaviour = lambda _: ServerReply(418, content=b"teapot")
    async with AsyncClient.from_data(single.data()) as client:
        reply = await client.service("svc").send()
        assert (reply.status, reply.text, reply.ok) == (418, "teapot", False)
        with pytest.raises(StatusError) as caught:
            reply.raise_for_status()
    assert caught.value.reply is reply


async def test_deadline_holds_over_a_hanging_instance(single: Fleet) -> None:
    single.servers[0].behaviour = lambda _: ServerReply(ending=Ending.HANG)
    async with AsyncClient.from_data(single.data()) as client:
        started = time.monotonic()
        with pytest.raises(DeadlineError) as caught:
            await client.service("svc").send(timeout=0.2)
    assert caught.value.phase is Phase.WAIT
    assert time.monotonic() - started < 5, "bounded by the deadline, not by a default of some library"


async def test_attempt_timeout_leaves_time_for_another(fleet: Fleet) -> None:
    fleet.servers[0].behaviour = lambda _: ServerReply(ending=Ending.HANG)
    data = fleet.data(repeatable=True, attempt_timeout="200ms", timeout="20s")
    async with AsyncClient.from_data(data) as client:
        assert all([(await client.service("svc").send()).ok for _ in range(6)])


@pytest.mark.parametrize("timeout", [0, -1, float("nan")])
async def test_timeout_must_be_above_zero(single: Fleet, timeout: float) -> None:
    async with AsyncClient.from_data(single.data()) as client:
        with pytest.raises(ValueError, match="timeout must be above 0 seconds"):
            await client.service("svc").send(timeout=timeout)


async def test_streamed_request(single: Fleet) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b"one"
        yield b"two"

    async with AsyncClient.from_data(single.data()) as client:
        assert (await client.service("svc").send(body())).ok
    assert single.seen()[0].content == b"onetwo"


async def test_streamed_reply_counts_as_open_until_it_ends(single: Fleet) -> None:
    single.servers[0].behaviour = lambda _: ServerReply(content=served(b"a", b"b", b"c"))
    async with AsyncClient.from_data(single.data()) as client:
        service = client.service("svc")
        async with service.stream(b"x") as reply:
            assert (reply.status, reply.attempts, reply.ok) == (200, 1, True)
            assert service.endpoints()[0].open_calls == 1
            assert b"".join([piece async for piece in reply.aiter_bytes()]) == b"abc"
        assert service.endpoints()[0].open_calls == 0
        async with service.stream(b"x") as reply:
            assert await reply.aread() == b"abc"
        async with service.stream(b"x") as reply:
            pass  # closed unread
        assert service.endpoints()[0].open_calls == 0
        assert (await service.send()).ok


async def test_stream_with_an_error_status_can_be_read(single: Fleet) -> None:
    single.servers[0].behaviour = lambda _: ServerReply(400, content=b"no such model")
    async with AsyncClient.from_data(single.data()) as client:
        async with client.service("svc").stream() as reply:
            assert (reply.status, await reply.aread()) == (400, b"no such model")
        assert client.service("svc").endpoints()[0].open_calls == 0


async def test_stream_fails_over_before_it_begins(fleet: Fleet) -> None:
    fleet.servers[0].behaviour = lambda _: ServerReply(503)
    async with AsyncClient.from_data(fleet.data(repeatable=True)) as client:
        for _ in range(6):
            async with client.service("svc").stream() as reply:
                assert reply.status == 200


async def test_stream_that_breaks_off_says_so_and_is_not_begun_again(single: Fleet) -> None:
    single.servers[0].behaviour = lambda _: ServerReply(content=b"x" * 1000, ending=Ending.HALF)
    async with AsyncClient.from_data(single.data(repeatable=True)) as client:
        with pytest.raises(AttemptsError, match="broke off") as caught:
            async with client.service("svc").stream() as reply:
                await reply.aread()
        [view] = client.service("svc").endpoints()
    assert caught.value.phase is Phase.STREAM
    assert (view.open_calls, view.errors) == (0, 1)
    assert len(single.seen()) == 1


async def test_endpoints_tell_how_they_are_doing(fleet: Fleet) -> None:
    fleet.servers[2].server.stop()
    async with AsyncClient.from_data(fleet.data()) as client:
        service = client.service("svc")
        before = service.endpoints()
        assert [view.attempts for view in before] == [0, 0, 0]
        for _ in range(6):
            await service.send()
        views = service.endpoints()
    assert [view.route for view in views] == ["main"] * 3
    assert [view.state for view in views] == ["ready", "ready", "ejected"]
    assert views[2].reason == "2 connections in a row could not be opened"
    assert sum(view.attempts - view.errors for view in views) == 6
    assert views[2].errors == 2
    assert views[2].last_error is not None
    assert "cannot connect" in views[2].last_error
    assert views[0].mean_ms is not None


async def test_unknown_service_and_closed_client(single: Fleet) -> None:
    client = AsyncClient.from_data(single.data())
    with pytest.raises(UnknownServiceError, match="did you mean 'svc'"):
        client.service("svcc")
    service = client.service("svc")
    await service.send()
    await client.aclose()
    await client.aclose()
    with pytest.raises(ClosedError):
        client.service("svc")
    with pytest.raises(ClosedError):
        await service.send()
    with pytest.raises(ClosedError):
        service.endpoints()


async def test_stamina_switched_off_means_one_attempt(fleet: Fleet) -> None:
    for server in fleet.servers:
        server.behaviour = lambda _: ServerReply(503)
    async with AsyncClient.from_data(fleet.data(repeatable=True)) as client:
        stamina.set_active(False)
        try:
            reply = await client.service("svc").send()
        finally:
            stamina.set_active(True)
        assert (reply.status, reply.attempts) == (503, 1)
        with stamina.set_testing(True, attempts=2):
            assert (await client.service("svc").send()).attempts == 2
        assert (await client.service("svc").send()).attempts == 3


async def test_repeats_are_told_to_staminas_hooks(fleet: Fleet) -> None:
    told: list[stamina.instrumentation.RetryDetails] = []
    fleet.servers[0].server.stop()

    def hook(details: stamina.instrumentation.RetryDetails) -> None:
        told.append(details)

    stamina.instrumentation.set_on_retry_hooks([hook])
    try:
        async with AsyncClient.from_data(fleet.data()) as client:
            for _ in range(3):
                await client.service("svc").send()
    finally:
        stamina.instrumentation.set_on_retry_hooks(None)
    assert len(told) == 1
    assert "cannot connect" in str(told[0].caused_by)


async def test_discovery_that_never_answers_fails_clearly_once_and_then_at_once(single: Fleet) -> None:
    single.servers[0].behaviour = lambda _: ServerReply(500)
    host = single.servers[0].server.url.removeprefix("http://")
    route = {"provider": "alibaba_eas", "service": "s", "discovery_host": host, "auth": "none"}
    data = {"services": {"svc": {"routes": [route], "discovery": {"start_timeout": "500ms"}}}}
    async with AsyncClient.from_data(data) as client:
        with pytest.raises(NoEndpointError, match="discovery fails") as caught:
            await client.service("svc").send()
        assert "500" in str(caught.value)
        assert caught.value.list_age is None
        started = time.monotonic()
        with pytest.raises(NoEndpointError):
            await client.service("svc").send()
        assert time.monotonic() - started < 0.2, "only the first call waits"


async def test_two_services_of_one_client(single: Fleet) -> None:
    data = single.data()
    data["services"]["other"] = data["services"]["svc"]
    async with AsyncClient.from_data(data) as client:
        assert client.service("svc") is client.service("svc")
        assert client.service("other") is not client.service("svc")
        assert (await client.service("other").send()).ok


async def test_warm_opens_connections_before_calls_need_them(fleet: Fleet, anyio_backend_name: str) -> None:
    fleet.servers[2].server.stop()
    async with AsyncClient.from_data(fleet.data()) as client:
        service = client.service("svc")
        ready = await service.warm(2)
        if not ready:
            assert anyio_backend_name == "trio", "httpx opens nothing ahead"
            return
        assert ready == 4, "two to each instance that can be reached"
        assert await service.warm(2) == 4, "what stands ready already is counted, not opened again"
        for _ in range(6):
            assert (await service.send()).ok
        # A server that has answered has accepted all that came before.
        assert [server.server.accepted_connections for server in fleet.servers[:2]] == [2, 2]


@pytest.mark.parametrize(("reports", "asked"), [("orca", "text"), ("off", None)])
async def test_load_reports_are_asked_for_and_kept(single: Fleet, reports: str, asked: str | None) -> None:
    said = (("endpoint-load-metrics", "TEXT named_metrics.num_requests_waiting=3"),)
    single.servers[0].behaviour = lambda request: ServerReply(200, said, b"{}")
    balancer = {"kind": "least_loaded", "reports": reports}
    async with AsyncClient.from_data(single.data(balancer=balancer)) as client:
        service = client.service("svc")
        await service.send(b"[1]")
        (member,) = service.routes[0].pool.members()
    assert single.seen()[0].header("endpoint-load-metrics-format") == asked
    report = member.load.report
    assert (report is None) == (asked is None)
    assert report is None or report.load.named == {"num_requests_waiting": 3.0}


async def test_a_size_is_what_the_balancer_counts(fleet: Fleet) -> None:
    balancer = {"kind": "least_loaded", "work": "size"}
    async with AsyncClient.from_data(fleet.data(balancer=balancer)) as client:
        service = client.service("svc")
        async with service.lease(size=500.0) as large, service.stream(b"[1]", size=20.0) as small:
            assert small.endpoint is not None
            for _ in range(10):
                reply = await service.send(b"[1]", size=10.0)
                assert reply.endpoint not in (large.endpoint, small.endpoint)
            works = sorted(member.load.open_work for member in service.routes[0].pool.members())
            assert works == [0.0, 20.0, 500.0]

            async def attempt(lease: EndpointLease) -> float:
                return max(m.load.open_work for m in service.routes[0].pool.members() if m.endpoint == lease.endpoint)

            assert await service.run(attempt, size=11.0) == 11.0


@pytest.mark.parametrize("size", [-1.0, float("nan"), float("inf")])
async def test_sizes_that_are_no_work_are_refused(single: Fleet, size: float) -> None:
    async with AsyncClient.from_data(single.data()) as client:
        with pytest.raises(ValueError, match="size must be a number of 0 or more"):
            await client.service("svc").send(b"[1]", size=size)
    assert not single.seen()


async def test_turns_follow_what_the_servers_report(fleet: Fleet) -> None:
    def reporting(cpu: float) -> Callable[[ServerRequest], ServerReply]:
        said = (("endpoint-load-metrics", f'JSON {{"rps_fractional": 8, "cpu_utilization": {cpu}}}'),)
        return lambda request: ServerReply(200, said, b"{}")

    idle = fleet.servers[0]
    for server in fleet.servers:
        server.behaviour = reporting(0.1 if server is idle else 0.8)
    balancer = {"kind": "weighted_round_robin", "reports": "orca", "blackout": 0, "update_every": 0.1}
    async with AsyncClient.from_data(fleet.data(balancer=balancer)) as client:
        service = client.service("svc")
        ends_at = time.monotonic() + 60
        share = 0.0
        while share < 0.7 and time.monotonic() < ends_at:  # 80, 10 and 10 of 100 in the end
            before = len(idle.seen)
            for _ in range(20):
                await service.send(b"[1]")
            share = (len(idle.seen) - before) / 20
    assert share >= 0.7
