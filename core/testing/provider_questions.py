"""Rules for what is asked, and for who shares the answer."""

from __future__ import annotations

import re
from collections.abc import Hashable

from ..interfaces.discovery import Discovery, Query
from .canaries import Canaries
from .conversation import Asked, talk
from .guard import alone
from .provider_case import ProviderCase

__all__ = ["QuestionRules"]


class QuestionRules(ProviderCase):
    """What is asked, and the identity of the question."""

    def test_control_plane_is_asked_if_discovery_is_claimed(self) -> None:
        """`discovery` says truly whether there is a control plane."""
        told = talk(self.discovery(), self.cloud())
        if self.asks:
            assert told.queries, "`discovery` is claimed and nothing is asked"
        else:
            assert told.believed.endpoints, "no list is asked for, so it must be known from the start"

    def test_queries_can_be_sent(self) -> None:
        """Absolute URLs, header fields in one line, budgets that are named without secrets."""
        for query in self.good().queries:
            if isinstance(query, Query):
                assert re.match(r"https?://[^/]", query.url), f"the URL is not absolute, or not of HTTP: {query!r}"
                assert query.method == query.method.upper(), f"methods are written in upper case: {query.method!r}"
                assert isinstance(query.headers, tuple), "header fields are a tuple of pairs"
                for name, value in query.headers:
                    assert not re.search(r"[\x00-\x1f\x7f]", name + value), f"a control character in header {name!r}"
            assert isinstance(query.budgets, tuple), "the budgets of a query are a tuple"

    def test_equal_settings_have_equal_identities(self) -> None:
        """They share one poller; the identity can be hashed, and stays the same over the polls.

        With `token-refresh` each provider may poll by itself: its wires need the token that its own poll fetched.
        """
        provider = self.provider()
        again = provider if "token-refresh" in self.claimed else self.provider()
        one, other = provider.discovery(), again.discovery()
        before = _identity(one)
        assert before == _identity(other), "equal settings, other identity: each client would poll by itself"
        self.told(one)
        assert before == _identity(one), "the identity changed with a poll"

    def test_other_credential_has_another_identity(self) -> None:
        """Who asks with another credential may see another list, and must not be blamed for a refused one."""
        names = self._names_that_are_sent()
        for name in names:
            other = self.discovery(Canaries(changed={name: "b"}))
            assert _identity(other) != _identity(self.discovery()), (
                f"another {name!r}, and the same identity: two users would share one answer"
            )

    def test_other_question_has_another_identity(self) -> None:
        """A route that asks something else (`other_routes`) has a poller of its own."""
        mine = _identity(self.discovery())
        for route in self.other_routes(Canaries()):
            other = self.model.model_validate(route).discovery()
            assert _identity(other) != mine, f"another question, and the same identity: {sorted(route)}"

    def _names_that_are_sent(self) -> list[str]:
        """Names of the secrets on which the queries depend."""
        secret = Canaries()
        mine = [_sent(query) for query in talk(self.discovery(secret), self.cloud()).queries]
        names: list[str] = []
        for name in secret.names:
            changed = self.discovery(Canaries(changed={name: "b"}))
            if [_sent(query) for query in talk(changed, self.cloud()).queries] != mine:
                names.append(name)
        return names


def _identity(discovery: Discovery) -> Hashable:
    with alone("`identity`"):
        identity = discovery.identity
    try:
        hash(identity)
    except TypeError:
        raise AssertionError("the identity cannot be hashed: it is the key under which pollers are shared") from None
    return identity


def _sent(query: Asked) -> object:
    return (query.url, query.method, query.headers, query.content) if isinstance(query, Query) else query.what
