"""Consistent hash: calls with the same key go to the same endpoint, as long as it has room.

Every key has an order of all endpoints. The first is its home; the others, in this order, take over when the home is
full (the bound), was tried by the call already, or is not there. When endpoints come and go, few keys get another home.

What is hashed is the endpoint's id, not its address: an endpoint that keeps its id keeps its keys.

A call without a key (or with an empty one) goes to a random endpoint by weight, under the same bound, and is counted:
one fixed endpoint for all of them would be a crowd.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from random import Random
from typing import Annotated, ClassVar, Literal, Protocol

from pydantic import Field

from ..core.interfaces.balancer import Balancer, BuildContext, Member, Picker, PickInfo
from ..core.tally import Tally
from .consistent_hash_bound import Bound
from .consistent_hash_hashing import key_hash
from .consistent_hash_maglev import Maglev
from .consistent_hash_rendezvous import Rendezvous
from .consistent_hash_ring import Ring
from .whole_weights import is_usable

__all__ = ["ConsistentHash", "HashPicker"]

_RENDEZVOUS_UP_TO = 64
"""Endpoints up to which `auto` takes rendezvous, whose pick costs O(N). Above, a ring: of 1,000 endpoints one comes or
goes in 5 ms, where Maglev fills a new table in 80 or more, with other threads waiting."""


class ConsistentHash(Balancer):
    """The same endpoint for the same key, under a bound on its load."""

    kind: ClassVar[str] = "consistent_hash"
    summary: ClassVar[str] = "Sends calls with the same key to the same endpoint, unless it has too much to do."
    capabilities: ClassVar[frozenset[str]] = frozenset({"affinity", "load", "weights"})

    algorithm: Literal["auto", "rendezvous", "maglev", "ring"] = Field(
        default="auto",
        description="How keys find endpoints. auto: rendezvous up to 64 endpoints, ring above. Name one if your "
        "fleet may cross that line, since nearly every key then gets another endpoint. "
        "rendezvous: moves the fewest keys; cost of a call grows with the endpoints. "
        "ring: moves the fewest keys at any size, and changes in milliseconds; shares differ by up to a quarter. "
        "maglev: the evenest shares and the cheapest call; moves about 1% of the keys more, and a change of the list "
        "takes up to 0.2 s.",
    )
    bound: Annotated[float, Field(gt=1, allow_inf_nan=False)] | Literal["off"] | None = Field(
        default=1.25,
        description="An endpoint gets a call only while its open calls stay within this multiple of its share; "
        "otherwise the next one in the key's order gets it. Above 1. Smaller: evener load; larger: fewer calls away "
        "from home. off (or null): no bound, and one key can flood one endpoint.",
    )

    def build(self, members: Sequence[Member], context: BuildContext) -> Picker:
        """A picker over these members."""
        # By id, so that nothing depends on the order in which a discovery happens to name the endpoints.
        usable = sorted((m for m in members if is_usable(m.weight)), key=lambda m: m.endpoint.id)
        previous = context.previous if isinstance(context.previous, HashPicker) else None
        missing = previous.missing if previous is not None else Tally()
        factor = self.bound if isinstance(self.bound, float) else None
        return HashPicker(usable, self._order(usable, previous), factor, context.random, missing)

    def _order(self, members: Sequence[Member], previous: HashPicker | None) -> _Order | None:
        if not members:
            return None
        names = [member.endpoint.id for member in members]
        weights = [member.weight for member in members]
        model = _MODELS[self.algorithm]
        if model is None:
            model = Rendezvous if len(members) <= _RENDEZVOUS_UP_TO else Ring
        # It follows from the model, ids and weights alone: an update that changes none of them builds no table.
        if previous is not None and type(previous.order) is model and previous.names_and_weights() == (names, weights):
            return previous.order
        if model is Ring:
            before = previous.order if previous is not None else None
            return Ring(names, weights, before if isinstance(before, Ring) else None)
        return model(names, weights)


class _Order(Protocol):
    """For each key's hash, an order of all places."""

    def __init__(self, identities: Sequence[str], weights: Sequence[float]) -> None: ...

    def first(self, hashed: int) -> int: ...

    def order(self, hashed: int) -> Iterator[int]: ...


_MODELS: dict[str, type[_Order] | None] = {"auto": None, "rendezvous": Rendezvous, "maglev": Maglev, "ring": Ring}


class HashPicker:
    """Finds the endpoint of a key.

    Args:
        members: The members, sorted by id.
        order: The order of their places for each key; None if there is no member.
        factor: The bound on the load; None for no bound.
        random: Source of chance, for calls without a key.
        missing: Counts them.
    """

    __slots__ = ("_bound", "_draw", "_first", "_members", "missing", "order")

    def __init__(
        self, members: Sequence[Member], order: _Order | None, factor: float | None, random: Random, missing: Tally
    ) -> None:
        self._members = tuple(members)
        self.order: _Order | None = order
        self._first = None if order is None else order.first
        self._bound = Bound(self._members, [member.weight for member in members], factor)
        self._draw = random.getrandbits
        self.missing: Tally = missing
        """Picks without a key so far, by this picker and those before it."""

    def pick(self, info: PickInfo) -> Member | None:
        """The first in the key's order that is not excluded and has room. If nobody has: of those that are not
        excluded, the one with the least load by weight."""
        first = self._first
        if first is None:
            return None
        if info.key:
            hashed = key_hash(info.key)
        else:
            self.missing.add()
            hashed = self._draw(32)
        excluded = info.excluded
        place = first(hashed)
        member = self._members[place]
        if excluded and member.endpoint.id in excluded:
            return self._next(hashed, excluded)
        # Most homes are idle or have room: nothing is ordered for them.
        if not member.load.open or self._bound.has_room(place):
            return member
        return self._next(hashed, excluded)

    def _next(self, hashed: int, excluded: Collection[str]) -> Member | None:
        assert self.order is not None  # noqa: S101 - a picker without an order has returned before
        members = self._members
        places = self.order.order(hashed)
        if excluded:
            places = (place for place in places if members[place].endpoint.id not in excluded)
        place = self._bound.first_with_room(places)
        return None if place is None else members[place]

    def names_and_weights(self) -> tuple[list[str], list[float]]:
        """What the order was made from."""
        return [member.endpoint.id for member in self._members], [member.weight for member in self._members]
