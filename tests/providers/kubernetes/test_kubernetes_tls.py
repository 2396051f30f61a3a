"""The API server over https: the authority in the service account's folder is trusted, and no other."""

from __future__ import annotations

import asyncio
import ssl
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from discovery_lab import Told, quick

from directlane.core.discovery.hub import DiscoveryHub
from directlane.providers.kubernetes import KubernetesProvider
from directlane.providers.kubernetes.emulator import KubernetesEmulator

trustme = pytest.importorskip("trustme", reason="trustme is not installed: pip install trustme")


@contextmanager
def in_front_of(port: int, tls: ssl.SSLContext) -> Generator[int, None, None]:
    """Takes TLS off, and passes on what is inside."""
    ready, ports = threading.Event(), list[int]()
    loop, stopping = asyncio.new_event_loop(), asyncio.Event()

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner, outer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(pass_on(reader, outer), pass_on(inner, writer))

    async def main() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
        ports.append(server.sockets[0].getsockname()[1])
        ready.set()
        await stopping.wait()
        server.close()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    thread = threading.Thread(target=loop.run_until_complete, args=(main(),))
    thread.start()
    assert ready.wait(30)
    yield ports[0]
    loop.call_soon_threadsafe(stopping.set)
    thread.join()
    loop.close()


def test_the_authority_of_the_service_account_is_trusted_and_no_other() -> None:
    ours, others = trustme.CA(), trustme.CA()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ours.issue_cert("127.0.0.1").configure_cert(tls)
    with (
        KubernetesEmulator(2, token=None) as cloud,
        in_front_of(int(str(cloud.route()["api"]).rpartition(":")[2]), tls) as port,
    ):
        folder = Path(str(cloud.route()["service_account"]))
        (folder / "ca.crt").write_bytes(others.cert_pem.bytes())
        settings = {**cloud.route(), "api": f"https://127.0.0.1:{port}"}
        del settings["provider"]
        discovery = KubernetesProvider.model_validate(settings).discovery()
        told = Told()
        share = DiscoveryHub().subscribe("svc/route", discovery, quick(interval=0.05, timeout=30.0), told)
        end = time.monotonic() + 30
        while share.belief.error is None:
            assert time.monotonic() < end, "it is trusted"
            time.sleep(0.002)
        assert cloud.lists == 0, "no token was sent to a stranger"
        (folder / "ca.crt").write_bytes(ours.cert_pem.bytes())
        assert share.wait_ready(30), "it is read anew"
        while not cloud.watches:
            assert time.monotonic() < end, "it is not watched"
            time.sleep(0.002)
        cloud.add_instance()
        while len(share.belief.endpoints) < 3:
            assert time.monotonic() < end, "the change is not told"
            time.sleep(0.002)
        share.release()
