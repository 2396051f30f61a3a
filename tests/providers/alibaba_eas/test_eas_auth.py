"""The three forms of the token, and a signature that anybody can check by hand."""

from __future__ import annotations

import base64
import hmac
import locale
from collections.abc import Iterator

import pytest

from directlane.core.fields import Secret
from directlane.core.interfaces import Sign
from directlane.core.message import Request, header
from directlane.providers.alibaba_eas.auth import content_md5, fixed_headers, make_sign, signature

NOV_21 = 1795230365.0  # Sat, 21 Nov 2026 03:06:05 UTC
OCTETS = "application/octet-stream"


def signer() -> Sign:
    sign = make_sign(Secret("secret"), "signed")
    assert sign is not None
    return sign


def test_signature_of_the_test_vector() -> None:
    request = Request("POST", "/api/predict/svc", content=b"[{}]")
    assert signer()(request, NOV_21) == (
        ("Content-Type", OCTETS),
        ("Content-MD5", "a21cafb4c405e6997671a02e578b9b1e"),
        ("Date", "Sat, 21 Nov 2026 03:06:05 GMT"),
        ("Authorization", "EAS xyoadizX8kazA04RxwF/AmNY+iw="),
    )


def test_signature_by_its_parts() -> None:
    signed = signature(
        b"secret",
        method="POST",
        digest=content_md5(b"[{}]"),
        content_type=OCTETS,
        date="Sat, 21 Nov 2026 03:06:05 GMT",
        resource="/api/predict/svc",
    )
    assert signed == "xyoadizX8kazA04RxwF/AmNY+iw="


@pytest.mark.parametrize("length", [0, 1, 63, 64, 65, 200])
def test_the_code_is_that_of_the_standard_library(length: int) -> None:
    key = bytes(range(length))
    text = b"POST\nd\nt\nnow\n/x"
    wanted = base64.b64encode(hmac.digest(key, text, "sha1")).decode()
    assert signature(key, method="POST", digest="d", content_type="t", date="now", resource="/x") == wanted


def test_the_date_goes_on() -> None:
    sign, request = signer(), Request("POST", "/api/predict/svc")
    dates = [header(sign(request, NOV_21 + later), "date") for later in (0.0, 0.9, 1.0, 61.5, 0.5)]
    times = ["03:06:05", "03:06:05", "03:06:06", "03:07:06", "03:06:05"]
    assert dates == [f"Sat, 21 Nov 2026 {time} GMT" for time in times]


def test_what_is_sent_is_what_is_signed() -> None:
    plain = Request("POST", "/api/predict/svc", content=b"{}")
    typed = Request("POST", "/api/predict/svc", (("content-TYPE", "application/json"),), b"{}")
    elsewhere = Request("POST", "/api/predict/svc/v1?x=1", content=b"{}")
    longer = Request("POST", "/api/predict/svc", content=b"{ }")
    got = Request("GET", "/api/predict/svc", content=b"{}")
    signatures = {header(signer()(each, NOV_21), "authorization") for each in (plain, typed, elsewhere, longer, got)}
    assert len(signatures) == 5


def test_content_type_of_the_caller_is_kept() -> None:
    typed = Request("POST", "/api/predict/svc", (("content-type", "application/json"),), b"{}")
    assert header(signer()(typed, NOV_21), "content-type") is None


def test_digest_keeps_its_leading_zeros() -> None:
    # The MD5 of this text begins with a zero; one of the vendor's clients drops it.
    body = next(text for text in (b"%d" % n for n in range(100)) if content_md5(text).startswith("0"))
    assert len(content_md5(body)) == 32


@pytest.fixture
def other_language() -> Iterator[None]:
    before = locale.setlocale(locale.LC_TIME)
    for name in ("de_DE.UTF-8", "zh_CN.UTF-8", "fr_FR.UTF-8"):
        try:
            locale.setlocale(locale.LC_TIME, name)
            break
        except locale.Error:
            continue
    yield
    locale.setlocale(locale.LC_TIME, before)


@pytest.mark.usefixtures("other_language")
def test_date_is_english_and_utc_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Shanghai")
    headers = signer()(Request("POST", "/api/predict/svc"), NOV_21)
    assert header(headers, "date") == "Sat, 21 Nov 2026 03:06:05 GMT"


def test_streamed_body_cannot_be_signed() -> None:
    with pytest.raises(ValueError, match='set auth = "plain"'):
        signer()(Request("POST", "/api/predict/svc", content=iter([b"x"])), NOV_21)


def test_fixed_headers_of_each_scheme() -> None:
    token = Secret("abc")
    assert fixed_headers(token, "plain") == (("Authorization", "abc"),)
    assert fixed_headers(token, "bearer") == (("Authorization", "Bearer abc"),)
    assert fixed_headers(token, "signed") == ()
    assert fixed_headers(token, "none") == ()
    assert fixed_headers(None, "plain") == ()


def test_only_signed_requests_have_a_signer() -> None:
    assert make_sign(None, "signed") is None
    assert make_sign(Secret("abc"), "plain") is None
