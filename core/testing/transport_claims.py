"""Rules for what a transport says it can do, besides its sides."""

from __future__ import annotations

import re

import anyio
import pytest

from ..endpoint import Endpoint
from ..errors import PluginError
from ..interfaces.transport import Timeouts, Transport
from ..message import Request
from .settings_rules import refused
from .transport_lab import TransportLab, side_of

__all__ = ["TransportClaimRules"]

_SIDES = frozenset({"sync", "async"})


class TransportClaimRules:
    """The rules for capabilities."""

    def transport(self) -> Transport:
        """A new transport."""
        raise NotImplementedError("write `transport`: it returns your transport")

    @property
    def claimed(self) -> frozenset[str]:
        """The capabilities of the transport."""
        return self.transport().capabilities

    def test_claims_are_words_and_name_a_side(self) -> None:
        """Lists show what the transport claims; without `sync` or `async` nobody can use it."""
        stated = self.transport().capabilities
        assert isinstance(stated, frozenset), "`capabilities` is a frozenset"
        assert all(re.fullmatch(r"[a-z][a-z0-9-]*", word) for word in stated), "capabilities are plain words"
        assert stated & _SIDES, "`capabilities` names neither `sync` nor `async`"

    def test_trio_is_known_if_that_is_claimed(self, lab: TransportLab) -> None:
        """`trio` says truly whether async code on trio can call; if not, a PluginError says so when it is opened."""
        if side_of(type(self)) == "sync":
            pytest.skip("sync code has no event loop")
        pytest.importorskip("trio", reason="`trio` is not installed")
        if "trio" in lab.transport.capabilities:
            assert anyio.run(_call, lab, backend="trio") == 200
        else:
            anyio.run(_refuse, lab, backend="trio")


async def _call(lab: TransportLab) -> int:
    channel = lab.transport.open_async(lab.endpoint)
    try:
        return (await channel.send(Request("POST", "/", (), b"x"), Timeouts(connect=5, total=20))).status
    finally:
        await channel.aclose()


async def _refuse(lab: TransportLab) -> None:
    rule = "`trio` is not claimed: opening there is refused with a PluginError"
    error = refused(PluginError, lambda: lab.transport.open_async(Endpoint("127.0.0.1", 9)), rule)
    assert "Next:" in str(error), "the refusal says what to do next"
