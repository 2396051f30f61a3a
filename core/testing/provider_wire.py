"""Rules for what calls to an instance look like: made once, cheap to use, and the same for the same endpoint."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import cast

import pytest

from ..endpoint import Endpoint
from ..interfaces.discovery import Discovery
from ..interfaces.provider import Wire
from ..message import Headers, Request
from .conversation import NOW, talk
from .guard import alone
from .provider_case import ProviderCase
from .settings_rules import refused

__all__ = ["WireRules"]

_ENDPOINTS = (
    Endpoint("10.0.0.7", 8000),
    Endpoint("fd00::7", 8000),
    Endpoint("models.example.com", 443, scheme="https", base_path="/base", weight=0, zone="z", labels={"a": "b"}),
)
_REQUEST = Request("POST", "/v1/x?y=1", (("Content-Type", "application/json"),), b'{"a": 1}')
_CHANGES = {
    "method": replace(_REQUEST, method="PUT"),
    "target": replace(_REQUEST, target="/v1/z?y=1"),
    "content": replace(_REQUEST, content=b'{"a": 2}'),
}


class WireRules(ProviderCase):
    """The rules for `Provider.wire`."""

    def test_wire_is_pure_and_equal_for_equal_endpoints(self) -> None:
        """It may be made again at any time, in any thread: no I/O, no clock, no state."""
        provider = self.provider()
        for endpoint in _ENDPOINTS:
            first, again = self._wire(endpoint, provider.wire), self._wire(endpoint, provider.wire)
            assert (first.prefix, first.headers) == (again.prefix, again.headers), "the same endpoint, another wire"

    def test_wire_can_be_sent(self) -> None:
        """A prefix without a trailing slash; header fields as a tuple of pairs, each in one line."""
        for endpoint in _ENDPOINTS:
            wire = self._wire(endpoint, self.provider().wire)
            assert wire.prefix == "" or re.fullmatch(r"(/[^/?#\s]+)+", wire.prefix), (
                f"the prefix {wire.prefix!r} must be empty, or begin with '/' and not end with it"
            )
            _check_headers(wire.headers, "a wire")

    def test_signature_is_there_if_it_is_claimed(self) -> None:
        """`signing` says truly whether requests are signed. A token that is fetched is added in the same way."""
        wire = self._wire(_ENDPOINTS[0], self.provider().wire)
        if "signing" in self.claimed:
            assert wire.sign is not None, "`signing` is claimed and nothing signs"
        elif "token-refresh" not in self.claimed:
            assert wire.sign is None, "requests are signed and `signing` is not claimed"

    def test_signature_is_pure_and_changes_nothing(self) -> None:
        """The same request at the same second gives the same fields, whatever was signed before."""
        provider = self.provider()
        self._log_in(provider.discovery())
        wire = self._wire(_ENDPOINTS[0], provider.wire)
        if wire.sign is None:
            return
        kept = replace(_REQUEST)
        first = self._signed(wire, _REQUEST)
        _check_headers(first, "a signature")
        assert kept == _REQUEST, "signing changed the request"
        self._signed(wire, _CHANGES["content"])
        assert self._signed(wire, _REQUEST) == first, "the same request at the same time, another signature"
        self._signed(wire, replace(_REQUEST, headers=(), content=b"", target="/"))

    def test_signature_covers_what_the_case_says(self) -> None:
        """Another method, path or body has another signature: nothing is kept from the request before."""
        self.needs("signing")
        wire = self._wire(_ENDPOINTS[0], self.provider().wire)
        first = self._signed(wire, _REQUEST)
        for part in sorted(self.signs):
            assert self._signed(wire, _CHANGES[part]) != first, f"another {part}, and the same signature"

    def test_streamed_body_cannot_be_signed(self) -> None:
        """The agreed error is a ValueError with the reason: the digest is not known before the body is sent."""
        self.needs("signing")
        if "content" not in self.signs:
            pytest.skip("the signature does not cover the body")
        wire = self._wire(_ENDPOINTS[0], self.provider().wire)
        assert wire.sign is not None
        sign, request = wire.sign, replace(_REQUEST, content=iter([b"a", b"b"]))
        error = refused(ValueError, lambda: sign(request, NOW), "a streamed body is refused with a ValueError")
        assert str(error).strip(), "the ValueError for a streamed body says what to do instead"

    def test_packing_is_pure(self) -> None:
        """`pack` gives the same bytes for the same body, the empty body included."""
        pack = self._wire(_ENDPOINTS[0], self.provider().wire).pack
        if pack is None:
            return
        for body in (b"", b"x", bytes(range(256)) * 16):
            with alone("`pack`"):
                assert pack(body) == pack(body), "the same body is packed in two ways"

    def _wire(self, endpoint: Endpoint, make: Callable[[Endpoint], object]) -> Wire:
        wire: object = None
        with alone("`wire`"):
            wire = make(endpoint)
        assert isinstance(wire, Wire), f"`wire` returns a Wire, not {type(wire).__name__}"
        return wire

    def _signed(self, wire: Wire, request: Request) -> Headers:
        assert wire.sign is not None
        with alone("`sign`"):
            return wire.sign(request, NOW)
        raise AssertionError("not reached: the guard has raised")

    def _log_in(self, discovery: Discovery) -> None:
        """Where a token is fetched, it is there after the first poll."""
        talk(discovery, self.cloud())


def _check_headers(headers: object, where: str) -> None:
    assert isinstance(headers, tuple), f"the header fields of {where} are a tuple: what is shared must not change"
    for pair in cast("tuple[object, ...]", headers):
        assert isinstance(pair, tuple), f"a header field of {where} is a pair of texts"
        name, value = cast("tuple[object, object]", pair)
        assert isinstance(name, str), f"a header field of {where} is a pair of texts"
        assert isinstance(value, str), f"a header field of {where} is a pair of texts"
        assert re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name), f"{name!r} in {where} is no name of a header field"
        assert not re.search(r"[\x00-\x1f\x7f]", value), f"the value of {name!r} in {where} has a control character"
