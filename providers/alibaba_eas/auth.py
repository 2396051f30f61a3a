"""How PAI-EAS authenticates calls: one header, three forms. Discovery needs none.

- plain: `Authorization: {token}`
- bearer: `Authorization: Bearer {token}`; gateways of language models take it, a direct instance may not
- signed: `Authorization: EAS {base64(HMAC-SHA1(token, text))}`, where the text names method, digest of the body,
  content type, date and path of this very request
"""

from __future__ import annotations

import binascii
import hashlib
from email.utils import formatdate
from typing import Literal, TypeAlias

from ...core.fields import Secret
from ...core.interfaces import Sign
from ...core.message import Headers, Request, header

__all__ = ["DEFAULT_CONTENT_TYPE", "Scheme", "content_md5", "fixed_headers", "make_sign", "signature"]

Scheme: TypeAlias = Literal["plain", "signed", "bearer", "none"]

DEFAULT_CONTENT_TYPE = "application/octet-stream"
"""What a signed request without a content type is sent as: the content type is part of the signature."""


def fixed_headers(token: Secret | None, scheme: Scheme) -> Headers:
    """The headers that go with every call; empty where the signature brings them."""
    if token is None or scheme in ("none", "signed"):
        return ()
    value = token.reveal()
    return (("Authorization", f"Bearer {value}" if scheme == "bearer" else value),)


def make_sign(token: Secret | None, scheme: Scheme) -> Sign | None:
    """What signs each request; None where nothing is to be signed."""
    if token is None or scheme != "signed":
        return None
    mac = _Mac(token.reveal().encode())
    # A second and its name, replaced as a whole. To name it takes as long as all the rest; many calls share a second.
    named = (-1, "")

    def sign(request: Request, unix_time: float) -> Headers:
        """The headers of the signature.

        Raises:
            ValueError: The body is a stream: its digest is not known before it is sent.
        """
        nonlocal named
        body = request.content
        if not isinstance(body, bytes):
            raise ValueError(  # the contract of `Sign`
                'a streamed body cannot be signed: give the body as bytes, or set auth = "plain"'
            )
        given_type = header(request.headers, "content-type")
        content_type = DEFAULT_CONTENT_TYPE if given_type is None else given_type
        digest = content_md5(body)
        second = int(unix_time)
        known, date = named
        if second != known:
            # `formatdate` writes English names and UTC, whatever the locale and time zone of this machine.
            date = formatdate(second, usegmt=True)
            named = (second, date)
        signed = _base64(mac.of(_text(request.method, digest, content_type, date, request.target)))
        headers = (("Content-MD5", digest), ("Date", date), ("Authorization", "EAS " + signed))
        return headers if given_type is not None else (("Content-Type", content_type), *headers)

    return sign


def content_md5(body: bytes) -> str:
    """MD5 of the body: 32 lower-case hex digits (RFC 1864 would have base64)."""
    return hashlib.md5(body, usedforsecurity=False).hexdigest()


def signature(key: bytes, *, method: str, digest: str, content_type: str, date: str, resource: str) -> str:
    """The signature of a request.

    Args:
        key: The token.
        method: HTTP method.
        digest: `content_md5` of the body as it is sent (compressed, if it is).
        content_type: As in the header.
        date: As in the header.
        resource: Path and query as in the request line.
    """
    return _base64(_Mac(key).of(_text(method, digest, content_type, date, resource)))


def _text(*parts: str) -> bytes:
    return "\n".join(parts).strip().encode()


def _base64(data: bytes) -> str:
    return binascii.b2a_base64(data, newline=False).decode("ascii")


class _Mac:
    """HMAC-SHA1 (RFC 2104) with one key.

    The first block of both hashes is the key's alone: it is hashed once, where `hmac` would do it for every call, at
    three times the cost of the rest.
    """

    __slots__ = ("_inner", "_outer")

    def __init__(self, key: bytes) -> None:
        sha1 = hashlib.sha1  # the vendor's choice
        block = (sha1(key).digest() if len(key) > 64 else key).ljust(64, b"\0")
        self._inner = sha1(bytes(byte ^ 0x36 for byte in block))
        self._outer = sha1(bytes(byte ^ 0x5C for byte in block))

    def of(self, text: bytes) -> bytes:
        """The code of a text."""
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(text)
        outer.update(inner.digest())
        return outer.digest()
