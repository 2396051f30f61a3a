"""Rules for what a route keeps fresh for its calls, such as a token."""

from __future__ import annotations

import math

import pytest

from ..endpoint import Endpoint
from ..errors import DiscoveryError, Phase, TransportError
from ..interfaces.discovery import Upkeep
from ..message import Reply
from .canaries import Canaries, walk
from .conversation import Answer, Cloud, talk
from .guard import alone
from .provider_case import ProviderCase

__all__ = ["UpkeepRules"]

_ENDPOINT = Endpoint("10.0.0.7", 8000)
_FAILURES: tuple[Answer, ...] = (
    Reply(500, content=b"{}"),
    Reply(200, content=b"<html>Please log in</html>"),
    Reply(200),
    TransportError("no answer", phase=Phase.WAIT, timed_out=True),
)


class UpkeepRules(ProviderCase):
    """The rules for `Upkeep`, and for a credential that a discovery renews."""

    def test_upkeep_is_there_only_if_a_renewal_is_claimed(self) -> None:
        """Its identity can be hashed, is the same for the same settings object, and holds no secret."""
        secret = Canaries()
        provider = self.provider(secret)
        with alone("`upkeep`"):
            upkeep = provider.upkeep()
        if upkeep is None:
            return
        assert "token-refresh" in self.claimed, "there is an upkeep, and `token-refresh` is not claimed"
        assert isinstance(upkeep, Upkeep), "an upkeep has `identity` and `poll`"
        again = provider.upkeep()
        assert again is not None
        assert hash(upkeep.identity) == hash(again.identity), "one route, and each time another upkeep"
        assert upkeep.identity == again.identity, "one route, and each time another upkeep"
        for text in walk(upkeep.identity):
            assert secret.in_text(text) is None, "the identity of the upkeep holds a secret: use `Secret.fingerprint`"

    def test_upkeep_learns_and_lists_nobody(self) -> None:
        """Its snapshot has no endpoint, and says when the next round is due in seconds, if at all."""
        upkeep = self._upkeep()
        told = talk(upkeep, self.cloud(), steps=None)
        assert told.believed.endpoints == (), "an upkeep lists endpoints: that is for the discovery"
        due = told.believed.ask_again_in
        assert due is None or (due > 0 and math.isfinite(due)), f"the next round is due in {due} s"

    def test_upkeep_that_fails_says_so_and_keeps_what_was_learned(self) -> None:
        """A `DiscoveryError` or a `TransportError`, and what calls send stays as it was."""
        for failure in _FAILURES:
            provider = self.provider()
            upkeep = self._upkeep_of(provider.upkeep())
            talk(upkeep, self.cloud(), steps=None)
            before = provider.wire(_ENDPOINT)
            told = talk(upkeep, self._failing(failure), reauthenticate=True, steps=None)
            assert told.error is not None, f"nothing was learned from {failure!r}, and no error says so"
            after = provider.wire(_ENDPOINT)
            assert (before.prefix, before.headers) == (after.prefix, after.headers), "a failed round changed the calls"

    def test_upkeep_that_fails_first_has_learned_nothing(self) -> None:
        """Without a first success it is an error, each time anew: the route gets no calls until it is well."""
        upkeep = self._upkeep()
        for _ in range(2):
            told = talk(upkeep, self._failing(Reply(500, content=b"{}")), steps=None)
            assert isinstance(told.error, DiscoveryError), "status 500 to every query is a DiscoveryError"
        assert talk(upkeep, self.cloud(), steps=None).error is None, "after a failure it does not get well again"

    def test_refused_token_is_renewed_if_that_is_claimed(self) -> None:
        """With `token-refresh`: the next poll after a refusal fetches a new credential and does not use the old one.

        It is the poll of the upkeep, if the route has one.
        """
        self.needs("token-refresh")
        provider = self.provider()
        keeper = provider.upkeep() or provider.discovery()
        first = talk(keeper, self.cloud(), steps=None)
        kept = talk(keeper, self.cloud(), steps=None)
        renewed = talk(keeper, self.cloud(), reauthenticate=True)
        assert len(kept.queries) < len(first.queries), "the credential is fetched anew with every poll"
        assert len(renewed.queries) == len(first.queries), "an instance refused the token and it was not fetched anew"

    def _upkeep(self) -> Upkeep:
        return self._upkeep_of(self.provider().upkeep())

    def _upkeep_of(self, upkeep: Upkeep | None) -> Upkeep:
        if upkeep is None:
            pytest.skip("there is no upkeep")
        return upkeep

    def _failing(self, failure: Answer) -> Cloud:
        """Whatever comes from outside is this."""
        return lambda query: failure if self.is_from_outside(query) else self.answer(query, ())
