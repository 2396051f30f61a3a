"""What the doctor says of certificates: whose fault it most likely is, and the setting that mends it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from doctor_lab import Told, examined, one_route

pytest.importorskip("trustme", reason="trustme is not installed: pip install trustme")

from tls_lab import Authority, TlsInstance

NAME = "chat.example.com"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


def told_of(instance: TlsInstance, folder: Path, transport: object = "auto", **route: Any) -> Told:
    given = {"provider": "static", "addresses": [instance.url], **route}
    return examined(one_route(given, transport=transport), folder)


@pytest.mark.parametrize("kind", ["wire", "httpx", "auto"])
def test_another_name_is_told_with_the_names_that_the_certificate_has(
    authority: Authority, tmp_path: Path, kind: str
) -> None:
    known = {"kind": kind, "ca_file": str(authority.file)}
    with authority.instance("*.models.example.com", NAME) as instance:
        found = told_of(instance, tmp_path, known).one("http-certificate-name")
        assert found["level"] == "problem"
        assert found["found"] == f"shows a certificate for *.models.example.com, {NAME}, and not for 127.0.0.1"
        assert f'server_name = "{NAME}"' in found["next"]
        assert told_of(instance, tmp_path, known, server_name=NAME).bad == []


def test_expired_one_is_told(authority: Authority, tmp_path: Path) -> None:
    with authority.instance("127.0.0.1", ends=datetime(2020, 1, 1, tzinfo=UTC)) as instance:
        found = told_of(instance, tmp_path, {"kind": "wire", "ca_file": str(authority.file)})
    assert "has expired" in found.one("http-certificate-expired")["found"]


def test_unknown_authority_is_told(authority: Authority, tmp_path: Path) -> None:
    with authority.instance("127.0.0.1") as instance:
        found = told_of(instance, tmp_path).one("http-certificate-authority")
    assert found["level"] == "problem"
    assert "ca_file" in found["next"]


def test_instance_that_wants_a_certificate_of_ours_is_told(authority: Authority, tmp_path: Path) -> None:
    certificate, key = authority.client("doctor")
    known = {"kind": "wire", "ca_file": str(authority.file)}
    ours = {"certificate_file": str(certificate), "key_file": str(key)}
    with authority.instance("127.0.0.1", wants_clients_of=authority) as instance:
        found = told_of(instance, tmp_path, known).one("http-client-certificate")
        assert "certificate_file" in found["next"]
        assert told_of(instance, tmp_path, known | ours).bad == []
