"""Rules for what a balancer says it can do: a claim that is not true is a failure, and so is one that is missing."""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Sequence
from random import Random
from typing import ClassVar

import pytest

from ..endpoint import Endpoint
from ..interfaces.balancer import ANY, Balancer, BuildContext, Latency, Picker, PickInfo
from .members import FakeLoad, FakeMember, ManualClock, members_of

__all__ = ["BalancerCase", "BalancerClaimRules"]

_CALLS = 20_000
_OPEN_AT_ONCE = 40
_KEYS = tuple(f"session-{number}".encode() for number in range(200))


class BalancerCase:
    """What an author says about a balancer, so that the rules can be tried on it."""

    capabilities: ClassVar[frozenset[str] | None] = None
    """What it can do with these settings. Default: `capabilities` of the balancer, of which it must be a part."""

    def balancer(self) -> Balancer:
        """A new balancer. The same settings each time."""
        raise NotImplementedError("write `balancer`: it returns your balancer")

    @property
    def claimed(self) -> frozenset[str]:
        """The capabilities of this setting."""
        return self.balancer().capabilities if self.capabilities is None else self.capabilities


class BalancerClaimRules(BalancerCase):
    """The rules for capabilities."""

    def test_claims_are_words_of_the_balancer(self) -> None:
        """Lists show what the balancer claims; a case claims a part of it."""
        stated = self.balancer().capabilities
        assert isinstance(stated, frozenset), "`capabilities` is a frozenset"
        assert all(re.fullmatch(r"[a-z][a-z0-9-]*", word) for word in stated), "capabilities are plain words"
        assert self.claimed <= stated, f"the case claims {sorted(self.claimed - stated)}, the balancer does not"

    def test_shares_follow_the_weights(self) -> None:
        """With `weights`: of 20,000 calls, 40 open at a time, each member gets its share within 5% of all calls."""
        if "weights" not in self.claimed:
            pytest.skip("`weights` is not claimed")
        weights = [1, 2, 3, 4]
        loads = [FakeLoad() for _ in weights]
        picker = self._fleet(weights, loads)
        counts: Counter[int] = Counter()
        under_way: deque[tuple[int, int]] = deque()
        for number in range(_CALLS):
            place = _pick(picker, ANY)
            counts[place] += 1
            loads[place].open.add(number)
            under_way.append((place, number))
            if len(under_way) > _OPEN_AT_ONCE:
                ended, call = under_way.popleft()
                loads[ended].open.discard(call)
        for place, weight in enumerate(weights):
            share, wanted = counts[place] / _CALLS, weight / sum(weights)
            assert abs(share - wanted) < 0.05, f"weight {weight} of {sum(weights)} got a share of {share:.3f}"

    def test_same_key_goes_to_the_same_member(self) -> None:
        """`affinity` says truly whether calls with one key stay together: in each picker over the same members, in any
        order of the calls, while all are idle."""
        one, other = self._idle(seed=1), self._idle(seed=2)
        places = {key: _pick(one, PickInfo(key=key)) for key in _KEYS}
        moved = [key for key in reversed(_KEYS) if _pick(other, PickInfo(key=key)) != places[key]]
        keeps = not moved and len(set(places.values())) > 1
        if "affinity" in self.claimed:
            assert len(set(places.values())) > 1, "all keys go to one member"
            assert not moved, f"the same key, another member: {len(moved)} of {len(_KEYS)} keys"
        else:
            assert not keeps, "calls with the same key stay together, and `affinity` is not claimed"

    def test_open_calls_count_if_that_is_claimed(self) -> None:
        """`load` says truly whether a member with many open calls gets fewer new ones."""
        busy = FakeLoad(open=set(range(1000)))
        self._check_shunned("load", busy, "has 1000 open calls and the others none")

    def test_latency_counts_if_that_is_claimed(self) -> None:
        """`latency` says truly whether a slow member gets fewer calls. It must be asked for (`latency_memory`)."""
        if "latency" in self.claimed:
            assert self.balancer().latency_memory() is not None, "`latency` is claimed and no latency is asked for"
        slow = FakeLoad(latency=Latency(5.0, ManualClock().monotonic(), 60.0))
        self._check_shunned("latency", slow, "takes 5 s and the others 0.1 s")

    def test_reports_are_asked_for_if_that_is_claimed(self) -> None:
        """`load-reports` says truly whether servers are asked what they have to do (`wants_reports`)."""
        assert self.balancer().wants_reports() == ("load-reports" in self.claimed), (
            "`wants_reports` and the claim of `load-reports` differ"
        )

    # --- helpers ------------------------------------------------------------------------------------------------------

    def _check_shunned(self, capability: str, load: FakeLoad, why: str) -> None:
        """The first member gets less than half of what it gets with a usual load, or exactly what it gets then."""
        usual = [self._usual() for _ in range(8)]
        before = self._picks(usual)
        favourite = Counter(before).most_common(1)[0][0]  # a sticky one has all calls
        loads = [self._usual() for _ in range(8)]
        loads[favourite] = load
        after = self._picks(loads)
        if capability in self.claimed:
            assert after.count(favourite) < before.count(favourite) / 2, (
                f"`{capability}` is claimed; a member that {why} got {after.count(favourite)} of {len(_KEYS)} calls, "
                f"and {before.count(favourite)} before"
            )
        else:
            assert after == before, f"a member that {why} gets other calls, and `{capability}` is not claimed"

    def _picks(self, loads: Sequence[FakeLoad]) -> list[int]:
        picker = self._fleet([1] * len(loads), loads)
        return [_pick(picker, PickInfo(key=key)) for key in _KEYS]

    def _usual(self) -> FakeLoad:
        return FakeLoad(latency=Latency(0.1, ManualClock().monotonic(), 60.0))

    def _idle(self, seed: int) -> Picker:
        return self.balancer().build(members_of([1] * 8), BuildContext(Random(seed), ManualClock()))

    def _fleet(self, weights: Sequence[float], loads: Sequence[FakeLoad]) -> Picker:
        members = [
            FakeMember(Endpoint("10.0.0.1", 80, id=f"e{place:04}"), weight, load)
            for place, (weight, load) in enumerate(zip(weights, loads, strict=True))
        ]
        return self.balancer().build(members, BuildContext(Random(1), ManualClock()))


def _pick(picker: Picker, info: PickInfo) -> int:
    """The place of the member that is picked."""
    member = picker.pick(info)
    assert member is not None, "nobody was picked"
    return int(member.endpoint.id.removeprefix("e"))
