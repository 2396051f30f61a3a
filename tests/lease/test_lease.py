"""Leases: what counts, what is reported, what is repeated; and that an endpoint is given back on every path."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from typing import Any

import anyio
import pytest
from client_lab import Fleet, fleet_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from directlane import (
    AsyncClient,
    AttemptsError,
    Client,
    ClosedError,
    DeadlineError,
    EndpointLease,
    NoEndpointError,
    Phase,
    Service,
    TransportError,
)
from directlane.providers.alibaba_eas.emulator import EasEmulator


@pytest.fixture(scope="module")
def fleet() -> Iterator[Fleet]:
    yield from fleet_of(3)


@pytest.fixture
def service(fleet: Fleet) -> Iterator[Service]:
    with Client.from_data(fleet.data()) as client:
        yield client.service("svc")


def figures(service: Service) -> tuple[int, int, int, int]:
    """Open calls, attempts, errors and cancelled attempts, over all endpoints."""
    loads = [member.load.figures() for route in service.routes for member in route.pool.members()]
    return (
        sum(load.open_calls for load in loads),
        sum(load.attempts for load in loads),
        sum(load.errors for load in loads),
        sum(load.cancelled for load in loads),
    )


# --- one lease --------------------------------------------------------------------------------------------------------


def test_it_counts_as_open_until_it_ends(service: Service) -> None:
    with service.lease() as lease:
        assert figures(service) == (1, 0, 0, 0)
        assert lease.address == (lease.endpoint.host, lease.endpoint.port)
        assert 29 < lease.remaining <= 30
        assert (lease.attempt, lease.headers, lease.connect_timeout) == (1, (), 1.0)
    assert figures(service) == (0, 1, 0, 0)


def test_leases_are_spread_evenly(service: Service) -> None:
    for _ in range(9):
        with service.lease():
            pass
    assert [view.attempts for view in service.endpoints()] == [3, 3, 3]


def test_an_exception_is_a_failure_and_reaches_the_caller_unchanged(service: Service) -> None:
    error = ValueError("the secret of the request")
    with pytest.raises(ValueError, match="secret") as caught, service.lease():
        raise error
    assert caught.value is error
    assert figures(service) == (0, 1, 1, 0)
    assert "secret" not in str([view.last_error for view in service.endpoints()]), "only its type is kept"


def test_the_first_report_counts(service: Service) -> None:
    with pytest.raises(OSError, match="mine"), service.lease() as lease:  # noqa: PT012 - the block is tried
        lease.succeeded()
        lease.failed(Phase.CONNECT)
        raise OSError("mine")
    assert figures(service) == (0, 1, 0, 0)
    with service.lease() as lease:
        lease.failed(error="slow")
        lease.succeeded()
        assert figures(service) == (1, 1, 0, 0), "it stays open until the block ends"
    assert figures(service) == (0, 2, 1, 0)
    assert "slow" in [view.last_error for view in service.endpoints()]


def test_excluded_endpoints_are_not_picked(service: Service) -> None:
    first, second, third = (view.endpoint for view in service.endpoints())
    for _ in range(5):
        with service.lease(exclude=[first, second.id]) as lease:
            assert lease.endpoint == third
    with pytest.raises(NoEndpointError, match="excluded by the call"), service.lease(exclude=[first, second, third]):
        pass

    def refuse(lease: EndpointLease) -> None:
        raise TransportError("no", phase=Phase.CONNECT)

    with pytest.raises(AttemptsError) as caught:
        service.run(refuse, exclude=[first])
    assert {record.endpoint for record in caught.value.attempts} == {second, third}, "not in a second round either"


def test_closed_client_and_nobody_to_ask(fleet: Fleet) -> None:
    client = Client.from_data(fleet.data())
    service = client.service("svc")
    client.close()
    with pytest.raises(ClosedError), service.lease():
        pass
    with pytest.raises(ClosedError):
        service.run(lambda lease: lease)
    with pytest.raises(ValueError, match="above 0"), service.lease(timeout=0):
        pass


@pytest.mark.parametrize("how", ["report", "connecting"])
def test_a_connect_failure_asks_discovery_soon(how: str) -> None:
    with EasEmulator(2) as cloud:
        data = {"services": {"svc": {"routes": [dict(cloud.route())], "discovery": {"interval": "5s"}}}}
        with Client.from_data(data, environment=cloud.environment) as client:
            service = client.service("svc")
            with service.lease() as lease:
                assert lease.headers, "the provider's token"
                assert lease.headers[0][1] not in repr(lease)
            before = cloud.discovery_queries
            if how == "report":
                with service.lease() as lease:
                    lease.failed(Phase.CONNECT)
            else:
                with pytest.raises(TransportError, match="cannot connect"), service.lease() as lease:
                    in_connecting(lease)
            ends_at = time.monotonic() + 3  # without the wish, the next question comes after 5 s
            while cloud.discovery_queries == before and time.monotonic() < ends_at:
                threading.Event().wait(0.01)
            assert cloud.discovery_queries > before


# --- with failover ----------------------------------------------------------------------------------------------------


def failing(error: Exception, asked: list[EndpointLease]) -> Callable[[EndpointLease], str]:
    """Fails with the first endpoint that it gets."""

    def function(lease: EndpointLease) -> str:
        asked.append(lease)
        if len(asked) == 1:
            raise error
        return lease.endpoint.id

    return function


def in_connecting(lease: EndpointLease) -> None:
    with lease.connecting():
        raise ConnectionRefusedError(111, "Connection refused")


def test_connect_failures_go_elsewhere_always(service: Service) -> None:
    asked: list[EndpointLease] = []

    def function(lease: EndpointLease) -> int:
        asked.append(lease)
        if len(asked) < 3:
            in_connecting(lease)
        return lease.attempt

    assert service.run(function) == 3
    assert len({lease.endpoint for lease in asked}) == 3
    assert figures(service) == (0, 3, 2, 0)


@pytest.mark.parametrize(
    "error",
    [ConnectionResetError(104, "reset"), ConnectionRefusedError(111, "refused"), TimeoutError(), EOFError()],
    ids=lambda error: type(error).__name__,
)
def test_later_failures_go_elsewhere_only_if_that_is_safe(service: Service, error: Exception) -> None:
    asked: list[EndpointLease] = []
    with pytest.raises(AttemptsError) as caught:
        service.run(failing(error, asked))
    assert caught.value.phase is Phase.WAIT
    assert len(asked) == 1
    assert isinstance(caught.value.__cause__, TransportError)
    assert caught.value.__cause__.__cause__ is error
    asked.clear()
    assert service.run(failing(error, asked), repeatable=True) == asked[1].endpoint.id
    assert asked[0].endpoint != asked[1].endpoint


@pytest.mark.parametrize("error", [ValueError("mine"), FileNotFoundError(2, "no such file", "model.bin")])
def test_other_exceptions_are_raised_at_once_and_count(service: Service, error: Exception) -> None:
    asked: list[EndpointLease] = []
    with pytest.raises(type(error)) as caught:
        service.run(failing(error, asked), repeatable=True)
    assert caught.value is error
    assert len(asked) == 1
    assert figures(service) == (0, 1, 1, 0)


def test_reports_decide_in_run_too(service: Service) -> None:
    def good_but_raises(lease: EndpointLease) -> None:
        lease.succeeded()
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        service.run(good_but_raises, repeatable=True)
    assert figures(service) == (0, 1, 0, 0)

    def reports(lease: EndpointLease) -> int:
        if lease.attempt == 1:
            lease.failed(Phase.CONNECT, "busy")
        return lease.attempt

    assert service.run(reports) == 2
    assert figures(service) == (0, 3, 1, 0)


def test_connecting_that_is_over_says_nothing_about_later_failures(service: Service) -> None:
    def function(lease: EndpointLease) -> None:
        with suppress(TransportError):
            in_connecting(lease)
        raise ConnectionResetError

    with pytest.raises(AttemptsError) as caught:
        service.run(function)
    assert caught.value.phase is Phase.WAIT


def test_kept_lease_outlives_the_call(service: Service) -> None:
    lease = service.run(lambda lease: lease, keep=True)
    assert figures(service) == (1, 1, 0, 0)
    lease.close(ConnectionResetError(104, "reset by peer"))
    lease.close()
    lease.close(OSError("again"))
    assert figures(service) == (0, 1, 1, 0)
    with pytest.raises(ZeroDivisionError):
        service.run(lambda lease: 1 // 0, keep=True)
    assert figures(service)[0] == 0


# --- async ------------------------------------------------------------------------------------------------------------


def in_loop(data: dict[str, Any], use: Callable[[Any], Awaitable[None]], backend: str) -> tuple[int, int, int, int]:
    """Let `use` have an async service; returns the figures afterwards."""

    async def main() -> tuple[int, int, int, int]:
        async with AsyncClient.from_data(data) as client:
            service: Any = client.service("svc")
            await use(service)
            return figures(service)

    return anyio.run(main, backend=backend)


BACKENDS = pytest.mark.parametrize("backend", ["asyncio", "trio"])


@BACKENDS
@pytest.mark.parametrize("way", ["lease", "run", "run that connects", "kept run"])
def test_cancelled(fleet: Fleet, backend: str, way: str) -> None:
    async def use(service: Any) -> None:
        async def hang(lease: EndpointLease) -> None:
            if way == "run that connects":
                with lease.connecting():
                    await anyio.sleep_forever()
            await anyio.sleep_forever()

        with anyio.move_on_after(0.05):
            if way == "lease":
                async with service.lease() as lease:
                    await hang(lease)
            else:
                await service.run(hang, keep=way == "kept run")
            raise AssertionError("not reached")

    assert in_loop(fleet.data(), use, backend) == (0, 0, 0, 1)


@BACKENDS
@pytest.mark.parametrize("is_connecting", [True, False])
def test_late_functions_are_cancelled(fleet: Fleet, backend: str, is_connecting: bool) -> None:
    async def use(service: Any) -> None:
        async def hang(lease: EndpointLease) -> None:
            if is_connecting:
                with lease.connecting():
                    await anyio.sleep_forever()
            await anyio.sleep_forever()

        with pytest.raises(DeadlineError) as caught:
            await service.run(hang, timeout=0.05)
        assert caught.value.phase is (Phase.CONNECT if is_connecting else Phase.WAIT)

    assert in_loop(fleet.data(), use, backend) == (0, 1, 1, 0)


@BACKENDS
def test_attempt_that_hangs_leaves_time_for_another(fleet: Fleet, backend: str) -> None:
    async def use(service: Any) -> None:
        async def hang_once(lease: EndpointLease) -> int:
            if lease.attempt == 1:
                await anyio.sleep_forever()
            return lease.attempt

        assert await service.run(hang_once, repeatable=True) == 2

    assert in_loop(fleet.data(attempt_timeout="50ms"), use, backend)[0] == 0


def test_timeout_of_the_callers_own_is_the_endpoints_failure(fleet: Fleet) -> None:
    async def use(service: Any) -> None:
        async def impatient(lease: EndpointLease) -> int:
            if lease.attempt == 1:
                async with asyncio.timeout(0.01):
                    await anyio.sleep_forever()
            return lease.attempt

        assert await service.run(impatient, repeatable=True) == 2

    assert in_loop(fleet.data(), use, "asyncio") == (0, 2, 1, 0)


# --- every path -------------------------------------------------------------------------------------------------------


class Stop(BaseException):
    """Such as KeyboardInterrupt."""


REPORTS = st.lists(st.sampled_from(["succeeded", *Phase]), max_size=3)
ENDS = st.sampled_from(
    [
        None,
        ValueError("x"),
        OSError(5, "io"),
        EOFError(),
        TransportError("t", phase=Phase.CONNECT),
        Stop(),
        "connecting",
    ]
)


def act(lease: EndpointLease, reports: list[str | Phase], end: object) -> None:
    for report in reports:
        if isinstance(report, Phase):
            lease.failed(report)
        else:
            lease.succeeded()
    if isinstance(end, BaseException):
        raise end
    if end == "connecting":
        in_connecting(lease)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(way=st.sampled_from(["lease", "run", "keep"]), reports=REPORTS, end=ENDS, repeatable=st.booleans())
def test_given_back_once_on_every_path(
    service: Service, way: str, reports: list[str | Phase], end: object, repeatable: bool
) -> None:
    before = figures(service)
    calls = 0

    def function(lease: EndpointLease) -> EndpointLease:
        nonlocal calls
        calls += 1
        assert figures(service)[0] == 1
        act(lease, reports, end)
        return lease

    raised: BaseException | None = None
    try:
        if way == "lease":
            with service.lease() as lease:
                function(lease)
        else:
            kept = service.run(function, repeatable=repeatable, keep=way == "keep")
            assert figures(service)[0] == (1 if way == "keep" else 0)
            kept.close()
    except BaseException as error:  # noqa: BLE001 - whatever it is, it is looked at
        raised = error
    after = figures(service)
    assert after[0] == 0
    assert after[1] + after[3] - before[1] - before[3] == calls, "each attempt is counted once"
    if way == "lease":
        assert calls == 1
        is_success = reports[0] == "succeeded" if reports else end is None
        is_cancelled = isinstance(end, Stop) and not reports
        assert after[2] - before[2] == (0 if is_success or is_cancelled else 1)
        assert (raised is None) == (end is None)
    if isinstance(end, Stop):
        assert raised is end


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork, which Unix has")
def test_child_does_not_end_the_lease_of_its_parent(fleet: Fleet) -> None:
    # In a program of its own: a fork of a process with many threads is not what is tried here.
    import subprocess
    import sys

    program = f"""
import os, warnings
warnings.simplefilter("ignore", DeprecationWarning)
import directlane
with directlane.Client.from_data({fleet.data()!r}) as client:
    service = client.service("svc")
    with service.lease() as lease:
        child = os.fork()
        if child:
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
            assert sum(view.open_calls for view in service.endpoints()) == 1
    if child == 0:
        with service.lease():  # anew, in the child
            os._exit(7)
    assert [view.open_calls for view in service.endpoints()] == [0, 0, 0]
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 0, ran.stderr
