"""What an author says about a provider, so that the rules can be tried on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import ip_network
from typing import ClassVar

import pytest

from ..endpoint import Snapshot
from ..interfaces.discovery import Discovery, EmptyAnswer, Query
from ..interfaces.provider import Provider
from ..message import Reply
from .canaries import Canaries
from .conversation import Asked, Cloud, Told, talk
from .listings import HARD, PLAIN, Listed

__all__ = ["PRIVATE", "ProviderCase"]

PRIVATE = tuple(ip_network(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fd00::/8"))
"""Networks that a cloud's own addresses are in."""


class ProviderCase:
    """One way to configure a provider, and what its cloud answers then.

    A provider that can be set up in ways that differ (direct and through a gateway, two kinds of credential) gets one
    subclass for each.
    """

    model: ClassVar[type[Provider]]
    """The provider."""

    capabilities: ClassVar[frozenset[str] | None] = None
    """What it can do in this setting. Default: `facts.capabilities`, of which it must be a part. A capability is closed
    until it is claimed: what can be done without being claimed is a failure, too.

    The rules know: `discovery` (it asks a control plane), `weights`, `watch`, `signing`, `token-refresh`.
    """

    empty_answer: ClassVar[EmptyAnswer] = EmptyAnswer.REFUSE
    """What a list without entries means on this cloud; the vendor's documents say it. Default: the careful answer."""

    signs: ClassVar[frozenset[str]] = frozenset({"method", "target", "content"})
    """With `signing`: what of a request the signature covers."""

    hidden: ClassVar[frozenset[str]] = frozenset()
    """Names of secrets that an instance must never be sent, such as the key of the registry."""

    def route(self, secret: Canaries) -> Mapping[str, object]:
        """The settings of a route, as in a configuration file, without `provider`.

        Args:
            secret: Gives the secrets: write `secret("token")` where a secret stands.
        """
        raise NotImplementedError("write `route`: the settings of a route to your cloud")

    def answer(self, query: Asked, listed: Sequence[Listed]) -> Reply:
        """What the cloud answers to this query while it lists these instances. A function, without I/O.

        Not called if neither `discovery` nor `token-refresh` is claimed.
        """
        raise NotImplementedError("write `answer`: what your cloud answers to a query")

    def other_routes(self, secret: Canaries) -> Sequence[Mapping[str, object]]:
        """Routes that ask another question: another region, another service. Default: none."""
        del secret
        return ()

    def change(self, listed: Sequence[Listed], after: Sequence[Listed]) -> Sequence[bytes]:
        """With `watch`: the pieces that the cloud sends in the open answer when the first list becomes the second.

        Not called if the provider asks a question that is answered when something changes: `answer` does that.
        """
        raise NotImplementedError("write `change`: what your cloud sends in a watch when its list changes")

    def stale_answer(self) -> Reply:
        """With `token-refresh`: how the cloud says that a token is no longer good. Default: a bare 401."""
        return Reply(401)

    # --- for the rules ------------------------------------------------------------------------------------------------

    @property
    def claimed(self) -> frozenset[str]:
        """The capabilities of this setting."""
        return self.model.facts.capabilities if self.capabilities is None else self.capabilities

    def provider(self, secret: Canaries | None = None) -> Provider:
        """A new provider with the settings of `route`."""
        return self.model.model_validate(self.route(secret or Canaries()))

    def discovery(self, secret: Canaries | None = None) -> Discovery:
        """A new discovery."""
        return self.provider(secret).discovery()

    def cloud(self, listed: Sequence[Listed] = PLAIN) -> Cloud:
        """The cloud while all is well. It fails if it is asked and nothing is claimed that asks."""

        def answered(query: Asked) -> Reply:
            assert self.claimed & {"discovery", "token-refresh"}, (
                f"something is asked and neither `discovery` nor `token-refresh` is claimed: {query!r}"
            )
            return self.answer(query, listed)

        return answered

    def is_from_outside(self, query: Asked) -> bool:
        """Whether the answer can be anything: it comes over the network, or tells the list.

        Other local questions (what do our own variables say?) are answered by the plug-in's own code.
        """
        return isinstance(query, Query) or self.tells_the_list(query)

    def tells_the_list(self, query: Asked) -> bool:
        """Whether the answer depends on what is listed."""
        return self.answer(query, PLAIN).content != self.answer(query, HARD).content

    def needs(self, *capabilities: str) -> None:
        """Skip the rule, and say so in the report, unless all of these are claimed."""
        for capability in capabilities:
            if capability not in self.claimed:
                pytest.skip(f"`{capability}` is not claimed")

    def told(self, discovery: Discovery, listed: Sequence[Listed] = PLAIN, *, previous: Snapshot | None = None) -> Told:
        """What a discovery makes of a list. Two thousand entries take steps; so they are not counted."""
        return talk(discovery, self.cloud(listed), previous=previous, steps=None)

    @property
    def asks(self) -> bool:
        """Whether a control plane is asked."""
        return "discovery" in self.claimed

    def good(self) -> Told:
        """A conversation of a new discovery, while all is well."""
        return talk(self.discovery(), self.cloud())
