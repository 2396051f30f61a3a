"""The files that a transport's settings name: our own certificate, mistakes in them, and files that are renewed."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from pydantic import ValidationError
from tls_lab import Authority, Way

from directlane import Client, Endpoint, Request, Timeouts, TransportError
from directlane.core.transports.tls import TlsContexts, TlsFiles
from directlane.core.transports.wire_transport import WireTransport

PATIENT = Timeouts(connect=20, total=30)
GET = Request("GET", "/")


def test_instance_that_asks_for_a_certificate_gets_ours(way: Way, authority: Authority) -> None:
    certificate, key = authority.client("worker-7")
    with authority.instance("127.0.0.1", wants_clients_of=authority) as instance:
        transport = way.kind(ca_file=authority.file, certificate_file=certificate, key_file=key)
        way.send(transport, Endpoint("127.0.0.1", instance.port, "https"))
    assert instance.clients == ["worker-7"]


def test_without_a_certificate_such_an_instance_refuses(way: Way, authority: Authority) -> None:
    with authority.instance("127.0.0.1", wants_clients_of=authority) as instance, pytest.raises(TransportError):
        way.send(way.kind(ca_file=authority.file), Endpoint("127.0.0.1", instance.port, "https"))
    assert instance.hosts == []


def test_key_may_stand_in_the_file_of_the_certificate(authority: Authority, tmp_path: Path) -> None:
    certificate, key = authority.client("worker-7")
    both = tmp_path / "both.pem"
    both.write_bytes(certificate.read_bytes() + key.read_bytes())
    WireTransport(certificate_file=both)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"ca_file": "none.pem"}, r"none\.pem cannot be read: No such file"),
        ({"ca_file": "garbage.pem"}, r"`ca_file` .*garbage\.pem holds no certificates in PEM form"),
        ({"certificate_file": "client.pem"}, "hold no certificate with its key in PEM form"),
        ({"certificate_file": "client.pem", "key_file": "other.key"}, "is not the key of the certificate in"),
        ({"certificate_file": "client.pem", "key_file": "locked.key"}, "must not be encrypted"),
        ({"key_file": "client.key"}, "`key_file` needs a `certificate_file`"),
    ],
)
def test_files_that_cannot_be_used_are_told_when_the_configuration_is_read(
    authority: Authority, tmp_path: Path, given: dict[str, str], message: str
) -> None:
    for stem in ("client", "other"):
        for path in authority.client(stem, stem):
            shutil.copy(path, tmp_path)
    (tmp_path / "garbage.pem").write_text("no certificate")
    key = load_pem_private_key((tmp_path / "client.key").read_bytes(), None)
    locked = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x"))
    (tmp_path / "locked.key").write_bytes(locked)
    with pytest.raises(ValidationError, match=message):
        WireTransport.model_validate({name: str(tmp_path / file) for name, file in given.items()})


def test_relative_path_begins_in_the_folder_of_the_configuration(
    authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(authority.file, tmp_path / "mine.pem")
    file = tmp_path / "lane.toml"
    with authority.instance("127.0.0.1") as instance:
        file.write_text(
            "[services.chat]\nconnect_timeout = '20s'\ntransport = { kind = 'auto', ca_file = 'mine.pem' }\n"
            f"[[services.chat.routes]]\nprovider = 'static'\naddresses = ['{instance.url}']\n"
        )
        monkeypatch.chdir("/")
        with Client.from_file(file) as client:
            assert client.service("chat").send(b"x").ok


def test_renewed_certificate_is_shown_by_new_connections(authority: Authority) -> None:
    certificate, key = authority.client("before", "renewed")
    transport = WireTransport(ca_file=authority.file, certificate_file=certificate, key_file=key)
    with authority.instance("127.0.0.1", wants_clients_of=authority) as instance:
        channel = transport.open(Endpoint("127.0.0.1", instance.port, "https"))
        channel.send(GET, PATIENT)
        authority.client("after", "renewed")
        channel.send(GET, PATIENT)
        channel.warm(2, PATIENT)
        channel.close()
    assert instance.clients == ["before", "after"], "what stands goes on; a new connection shows the new certificate"


def test_files_that_do_not_fit_together_yet_leave_the_last_context_in_use(
    authority: Authority, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    paths = [Path(shutil.copy(path, tmp_path)) for path in authority.client("one", "one")]
    contexts = TlsContexts(TlsFiles(authority.file, *paths))
    first = contexts.current()
    assert contexts.current() is first
    new_certificate, new_key = authority.client("two", "two")
    _replace(new_certificate, paths[0])
    with caplog.at_level(logging.WARNING):
        assert [contexts.current(), contexts.current()] == [first, first]
    (told,) = caplog.messages
    assert "is not the key of the certificate" in told
    _replace(new_key, paths[1])
    second = contexts.current()
    assert second is not first
    paths[0].unlink()
    assert contexts.current() is second


def _replace(source: Path, target: Path) -> None:
    new = target.with_suffix(".new")
    shutil.copy(source, new)
    new.replace(target)
