"""Compressed requests against the emulated PAI-EAS: unpacked by the libraries, signed as they were sent."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, get_args

import pytest

from directlane import Client, ConfigError, InvalidRequestError
from directlane.core.codings import libraries
from directlane.core.codings.packers import PackKind, packer
from directlane.core.emulation import Rule, Status
from directlane.providers.alibaba_eas.emulator import EMULATED_TOKEN, EasEmulator

TEXT = json.dumps([{"money_credit": 3_000_000}] * 100)


def config(emulator: EasEmulator, **settings: object) -> dict[str, Any]:
    route = {**emulator.route(), "token": EMULATED_TOKEN, **settings}
    return {"services": {"svc": {"routes": [route], "repeatable": True}}}


def emulated(kind: PackKind, instances: int = 1) -> EasEmulator:
    try:
        packer(kind)
    except ValueError as error:
        pytest.skip(str(error))
    return EasEmulator(instances, application=Rule("codings_lab:make_unpacking", {"kind": kind}))


@pytest.mark.parametrize("auth", ["plain", "signed"])
@pytest.mark.parametrize("kind", get_args(PackKind))
def test_the_service_gets_what_was_written(kind: PackKind, auth: str) -> None:
    with emulated(kind) as emulator, Client.from_data(config(emulator, compression=kind, auth=auth)) as client:
        facts = client.service("svc").send(TEXT).raise_for_status().json()
    assert facts["text"] == TEXT
    assert facts["came"] < len(TEXT) / 4
    assert facts["coding"] is None


def test_a_repeat_elsewhere_is_packed_again() -> None:
    with emulated("gzip", 2) as emulator, Client.from_data(config(emulator, compression="gzip")) as client:
        for instance in emulator.instances[:1]:
            instance.set_fault(Status(450))
        replies = [client.service("svc").send(TEXT).raise_for_status() for _ in range(4)]
    assert {reply.json()["text"] for reply in replies} == {TEXT}
    assert max(reply.attempts for reply in replies) == 2


def test_the_httpx_door_packs_too() -> None:
    with (
        emulated("zlib") as emulator,
        Client.from_data(config(emulator, compression="zlib")) as client,
        client.http("svc") as http,
    ):
        assert http.post("/", content=TEXT).json()["text"] == TEXT


def test_a_streamed_body_is_refused_and_nothing_is_sent() -> None:
    def body() -> Iterator[bytes]:
        raise AssertionError("must not be asked")
        yield b""

    with emulated("gzip") as emulator, Client.from_data(config(emulator, compression="gzip")) as client:
        with pytest.raises(InvalidRequestError, match="streamed body cannot be compressed\nNext:"):
            client.service("svc").send(body())
        assert emulator.instances[0].requests == 0
        assert [view.open_calls for view in client.service("svc").endpoints()] == [0]


@pytest.mark.parametrize(("kind", "extra"), [("zstd", "zstd"), ("lz4_block", "lz4"), ("snappy", "snappy")])
def test_a_missing_library_is_told_when_the_configuration_is_read(
    kind: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(coding: str) -> None:
        raise libraries.MissingLibraryError(f"pip install 'directlane[{extra}]' for {coding}")

    monkeypatch.setattr("directlane.core.codings.packers.need", missing)
    monkeypatch.setattr("directlane.core.codings.libraries.need", missing)
    route = {"provider": "alibaba_eas", "service": "s", "region": "cn-hangzhou", "compression": kind}
    with pytest.raises(ConfigError, match=rf"routes\[0\]\.compression.*directlane\[{extra}\]"):
        Client.from_data({"services": {"svc": {"routes": [route]}}})
