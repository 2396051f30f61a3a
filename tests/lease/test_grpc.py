"""gRPC over leases, against grpcio servers in processes of their own: one channel per endpoint, balanced per call."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import anyio
import pytest
from lease_lab import Instances

from directlane import (
    AsyncClient,
    AsyncGrpcChannel,
    AttemptsError,
    CallError,
    Client,
    DeadlineError,
    GrpcChannel,
    Phase,
)
from directlane.core.rpc.grpc_library import merged

grpc: Any = pytest.importorskip("grpc", reason="needs grpcio: pip install 'directlane[grpc]'")

ONE_LOOP = pytest.mark.usefixtures("one_loop")
ECHO = "/test.Instance/Echo"
CALLERS = 16
BEFORE_THE_KILL = 150
CALLS = 900


def pid(answer: bytes) -> int:
    return int(answer.split()[0])


# --- sync -------------------------------------------------------------------------------------------------------------


def test_each_call_is_balanced(rpcs: Instances) -> None:
    with Client.from_data(rpcs.data()) as client:
        service = client.service("svc")
        echo = GrpcChannel(service).unary_unary(ECHO)
        answers = Counter(pid(echo(b"x")) for _ in range(30))
        assert [view.open_calls for view in service.endpoints()] == [0, 0, 0]
    assert answers == {instance.pid: 10 for instance in rpcs.members}


def test_serializers_as_generated_stubs_give_them(rpcs: Instances) -> None:
    with Client.from_data(rpcs.data()) as client:
        echo = GrpcChannel(client.service("svc")).unary_unary(
            ECHO,
            request_serializer=str.encode,
            response_deserializer=lambda answer: answer.decode().split()[1],
            _registered_method=True,
        )
        assert echo("text") == "text"


def test_a_dead_instance_is_not_noticed_and_nothing_runs_twice(rpcs: Instances) -> None:
    rpcs[0].kill()
    with Client.from_data(rpcs.data()) as client:
        service = client.service("svc")
        echo = GrpcChannel(service).unary_unary(ECHO)
        for number in range(12):
            echo(b"call-%d" % number, repeatable=False)
        assert service.endpoints()[0].state == "ejected"
        assert "cannot connect" in str(service.endpoints()[0].last_error)
    assert set(rpcs.runs().values()) == {1}


def test_all_instances_dead(rpcs: Instances) -> None:
    for instance in rpcs.members:
        instance.kill()
    with Client.from_data(rpcs.data()) as client:
        echo = GrpcChannel(client.service("svc")).unary_unary(ECHO)
        with pytest.raises(AttemptsError) as caught:
            echo(b"x")
    assert caught.value.phase is Phase.CONNECT
    assert not caught.value.may_have_run
    assert len({record.endpoint.id for record in caught.value.attempts}) == 3


def test_answers_of_servers_are_the_callers(rpcs: Instances) -> None:
    with Client.from_data(rpcs.data(repeatable=True)) as client:
        service = client.service("svc")
        status = GrpcChannel(service).unary_unary("/test.Instance/Status")
        for name in ("NOT_FOUND", "INVALID_ARGUMENT", "INTERNAL", "RESOURCE_EXHAUSTED"):
            with pytest.raises(grpc.RpcError) as caught:
                status(name.encode())
            assert caught.value.code() is grpc.StatusCode[name]
        views = service.endpoints()
    assert sum(view.attempts for view in views) == 4, "none was repeated"
    assert sum(view.errors for view in views) == 0, "an answer is no failure of the instance"


def test_unavailable_is_repeated_only_if_that_is_safe(rpcs: Instances) -> None:
    with Client.from_data(rpcs.data()) as client:
        status = GrpcChannel(client.service("svc")).unary_unary("/test.Instance/Status")
        with pytest.raises(AttemptsError, match="UNAVAILABLE: as you wished") as caught:
            status(b"UNAVAILABLE")
        assert len(caught.value.attempts) == 1
        assert caught.value.may_have_run
        assert caught.value.phase is Phase.WAIT
        with pytest.raises(AttemptsError) as caught:
            status(b"UNAVAILABLE", repeatable=True)
        assert len({record.endpoint.id for record in caught.value.attempts}) == 3


def test_the_deadline_is_handed_on_and_kept(rpcs: Instances) -> None:
    with Client.from_data(rpcs.data()) as client:
        service = client.service("svc")
        channel = GrpcChannel(service)
        assert 5 < float(channel.unary_unary("/test.Instance/TimeLeft")(b"", timeout=7)) <= 7
        with pytest.raises(DeadlineError, match="DEADLINE_EXCEEDED"):
            channel.unary_unary("/test.Instance/Hang")(b"", timeout=0.2)
        assert [view.open_calls for view in service.endpoints()] == [0, 0, 0]


def test_metadata_of_caller_and_provider() -> None:
    headers = (("Authorization", "ours"), ("Host", "x"), ("X-Zone", "a"))
    assert merged(headers, [("authorization", "theirs"), ("x-user", "u"), ("trace-bin", b"\0")]) == [
        ("x-user", "u"),
        ("trace-bin", b"\0"),
        ("authorization", "ours"),
        ("x-zone", "a"),
    ]


def test_metadata_arrives(rpcs: Instances) -> None:
    with Client.from_data(rpcs.data()) as client:
        metadata = GrpcChannel(client.service("svc")).unary_unary("/test.Instance/Metadata")
        assert b"x-user=u7" in metadata(b"", metadata=[("x-user", "u7")])


def test_streams_arrive_and_give_the_endpoint_back(rpcs: Instances) -> None:
    with Client.from_data(rpcs.data()) as client:
        service = client.service("svc")
        count = GrpcChannel(service).unary_stream("/test.Instance/Count")
        messages = count(b"3")
        assert messages.endpoint is None
        first = next(messages)
        assert messages.endpoint is not None
        assert sum(view.open_calls for view in service.endpoints()) == 1
        assert [first, *messages] == [b"%d %d" % (pid(first), number) for number in range(3)]
        assert sum(view.open_calls for view in service.endpoints()) == 0
        assert list(messages) == []
        assert list(count(b"0")) == []
        endless = GrpcChannel(service).unary_stream("/test.Instance/Endless")
        with endless(b"") as messages:
            assert next(messages).endswith(b" 0")
            assert next(messages).endswith(b" 1")
        assert list(messages) == []
        dropped = endless(b"")
        next(dropped)
        del dropped
        endless(b"").close()  # never begun
        assert sum(view.open_calls for view in service.endpoints()) == 0


def test_stream_fails_over_before_its_first_message_and_never_after(rpcs: Instances) -> None:
    rpcs[0].kill()
    with Client.from_data(rpcs.data(repeatable=True)) as client:
        service = client.service("svc")
        endless = GrpcChannel(service).unary_stream("/test.Instance/Endless")
        for _ in range(3):
            with endless(b"") as messages:
                next(messages)
        messages = endless(b"")
        answering = pid(next(messages))
        next(instance for instance in rpcs.members if instance.pid == answering).kill()
        with pytest.raises(AttemptsError, match="broke off") as caught:
            for _ in messages:
                pass
        assert caught.value.phase is Phase.STREAM
        assert sum(view.open_calls for view in service.endpoints()) == 0
        [broken] = [view for view in service.endpoints() if view.endpoint == caught.value.attempts[0].endpoint]
        assert broken.errors == 1


def test_client_streaming_is_refused_when_called_not_when_a_stub_is_made(rpcs: Instances) -> None:
    with Client.from_data(rpcs.data()) as client:
        channel = GrpcChannel(client.service("svc"))
        for method in (channel.stream_unary("/a.B/C", None, None), channel.stream_stream("/a.B/C", None, None)):
            with pytest.raises(NotImplementedError, match="lease an endpoint"):
                method(iter([b""]))


def run_sync(rpcs: Instances, *, repeatable: bool) -> tuple[list[str], list[tuple[str, CallError]]]:
    answered: list[str] = []
    failed: list[tuple[str, CallError]] = []
    is_time = threading.Event()
    with Client.from_data(rpcs.data(repeatable=repeatable, timeout="30s")) as client:
        service = client.service("svc")
        echo = GrpcChannel(service).unary_unary(ECHO)

        def call(number: int) -> None:
            name = f"call-{number}"
            try:
                echo(name.encode())
            except CallError as error:
                failed.append((name, error))
            else:
                answered.append(name)
            if len(answered) >= BEFORE_THE_KILL:
                is_time.set()

        with ThreadPoolExecutor(CALLERS) as pool:
            calls = [pool.submit(call, number) for number in range(CALLS)]
            assert is_time.wait(60)
            rpcs[1].kill()
            for ended in calls:
                ended.result()
        assert [view.open_calls for view in service.endpoints()] == [0, 0, 0]
    return answered, failed


async def run_async(rpcs: Instances, *, repeatable: bool) -> tuple[list[str], list[tuple[str, CallError]]]:
    answered: list[str] = []
    failed: list[tuple[str, CallError]] = []

    async def main() -> None:
        is_time = asyncio.Event()
        async with AsyncClient.from_data(rpcs.data(repeatable=repeatable, timeout="30s")) as client:
            service = client.service("svc")
            echo = AsyncGrpcChannel(service).unary_unary(ECHO)
            numbers = iter(range(CALLS))

            async def caller() -> None:
                for number in numbers:
                    name = f"call-{number}"
                    try:
                        await echo(name.encode())
                    except CallError as error:
                        failed.append((name, error))
                    else:
                        answered.append(name)
                    if len(answered) >= BEFORE_THE_KILL:
                        is_time.set()

            async def killer() -> None:
                await is_time.wait()
                await asyncio.to_thread(rpcs[1].kill)

            await asyncio.gather(killer(), *(caller() for _ in range(CALLERS)))
            assert [view.open_calls for view in service.endpoints()] == [0, 0, 0]

    await main()
    return answered, failed


def check_repeatable(answered: list[str], failed: list[tuple[str, CallError]]) -> None:
    assert failed == []
    assert len(answered) == CALLS


def check_not_repeatable(rpcs: Instances, answered: list[str], failed: list[tuple[str, CallError]]) -> None:
    assert max(rpcs.runs().values()) == 1, "nothing was run twice"
    assert len(answered) + len(failed) == CALLS
    assert len(failed) <= CALLERS, "no more than what was open at the kill"
    assert {error.attempts[-1].endpoint.port for _, error in failed} <= {rpcs[1].port}
    assert {error.phase for _, error in failed} <= {Phase.WAIT}


def test_repeatable_calls_do_not_notice_a_kill(rpcs: Instances) -> None:
    check_repeatable(*run_sync(rpcs, repeatable=True))


def test_calls_that_must_not_repeat_are_never_run_twice(rpcs: Instances) -> None:
    check_not_repeatable(rpcs, *run_sync(rpcs, repeatable=False))


# --- asyncio ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def one_loop(anyio_backend: str) -> AsyncIterator[None]:
    """Keeps one event loop: grpc.aio gives late events of a closed loop to the next one, where they fail."""
    yield  # noqa: PT022 - an async fixture that ends is no fixture that lives


@ONE_LOOP
@pytest.mark.anyio
async def test_async_repeatable_calls_do_not_notice_a_kill(rpcs: Instances) -> None:
    check_repeatable(*await run_async(rpcs, repeatable=True))


@ONE_LOOP
@pytest.mark.anyio
async def test_async_calls_that_must_not_repeat_are_never_run_twice(rpcs: Instances) -> None:
    check_not_repeatable(rpcs, *await run_async(rpcs, repeatable=False))


@ONE_LOOP
@pytest.mark.anyio
async def test_async_calls_and_streams(rpcs: Instances) -> None:
    async with AsyncClient.from_data(rpcs.data()) as client:
        service = client.service("svc")
        channel = AsyncGrpcChannel(service)
        echo = channel.unary_unary(ECHO)
        answers = Counter([pid(await echo(b"x")) for _ in range(30)])
        assert answers == {instance.pid: 10 for instance in rpcs.members}
        messages = channel.unary_stream("/test.Instance/Count")(b"3")
        assert len([message async for message in messages]) == 3
        async with channel.unary_stream("/test.Instance/Endless")(b"") as messages:
            assert (await anext(messages)).endswith(b" 0")
            assert sum(view.open_calls for view in service.endpoints()) == 1
        with pytest.raises(grpc.RpcError) as caught:
            await channel.unary_unary("/test.Instance/Status")(b"NOT_FOUND")
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND
        with pytest.raises(DeadlineError):
            await channel.unary_unary("/test.Instance/Hang")(b"", timeout=0.2)
        assert sum(view.open_calls for view in service.endpoints()) == 0


@ONE_LOOP
@pytest.mark.anyio
@pytest.mark.parametrize("method", ["unary_unary", "unary_stream"])
async def test_async_cancel_ends_the_call_and_gives_the_endpoint_back(rpcs: Instances, method: str) -> None:
    async with AsyncClient.from_data(rpcs.data()) as client:
        service = client.service("svc")
        channel = AsyncGrpcChannel(service)
        if method == "unary_unary":
            task = asyncio.ensure_future(channel.unary_unary("/test.Instance/Hang")(b""))
        else:
            task = asyncio.ensure_future(anext(channel.unary_stream("/test.Instance/Hang")(b"")))
        while sum(view.open_calls for view in service.endpoints()) == 0:
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert sum(view.open_calls for view in service.endpoints()) == 0
        assert (await channel.unary_unary(ECHO)(b"x")).endswith(b" x")


@ONE_LOOP
@pytest.mark.anyio
async def test_async_stream_fails_over_before_its_first_message_and_never_after(rpcs: Instances) -> None:
    rpcs[0].kill()
    async with AsyncClient.from_data(rpcs.data(repeatable=True)) as client:
        service = client.service("svc")
        endless = AsyncGrpcChannel(service).unary_stream("/test.Instance/Endless")
        for _ in range(3):
            async with endless(b"") as messages:
                await anext(messages)
        messages = endless(b"")
        answering = pid(await anext(messages))
        await asyncio.to_thread(next(each for each in rpcs.members if each.pid == answering).kill)
        with pytest.raises(AttemptsError, match="broke off"):
            async for _ in messages:
                pass
        assert sum(view.open_calls for view in service.endpoints()) == 0


@ONE_LOOP
@pytest.mark.anyio
async def test_channels_of_endpoints_that_left_are_closed(rpcs: Instances) -> None:
    async with AsyncClient.from_data(rpcs.data()) as client:
        service = client.service("svc")
        echo = AsyncGrpcChannel(service).unary_unary(ECHO)
        for _ in range(3):
            await echo(b"x")
        [route] = service.routes
        gone, *rest = [member.endpoint for member in route.pool.members()]
        ports = {endpoint.port for endpoint in rest}
        route.pool.update(rest)
        for _ in range(4):
            await echo(b"x")
        assert {view.endpoint.port for view in service.endpoints()} == ports
        assert gone.port not in ports
        assert len(service.attachments) == 2


def test_sync_channels_of_endpoints_that_left_are_closed(rpcs: Instances) -> None:
    with Client.from_data(rpcs.data()) as client:
        service = client.service("svc")
        echo = GrpcChannel(service).unary_unary(ECHO)
        for _ in range(3):
            echo(b"x")
        [route] = service.routes
        route.pool.update([member.endpoint for member in route.pool.members()][1:])
        echo(b"x")
        assert len(service.attachments) == 2
        attachments = service.attachments
    assert len(attachments) == 0, "closing the client closes them all"


def test_trio_is_told_that_this_is_asyncios(rpcs: Instances) -> None:
    async def call() -> None:
        async with AsyncClient.from_data(rpcs.data()) as client:
            with pytest.raises(RuntimeError, match="runs on asyncio only"):
                await AsyncGrpcChannel(client.service("svc")).unary_unary(ECHO)(b"x")

    with ThreadPoolExecutor(1) as pool:
        pool.submit(partial(anyio.run, call, backend="trio")).result()


def test_without_grpcio_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "grpc", None)
    data = {"services": {"svc": {"routes": [{"provider": "static", "addresses": ["http://127.0.0.1:1"]}]}}}
    with Client.from_data(data) as client, pytest.raises(ModuleNotFoundError, match=r"directlane\[grpc\]"):
        GrpcChannel(client.service("svc"))
