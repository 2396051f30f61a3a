"""Rules for lists: what is read of a good answer, and what of an entry that is not good."""

from __future__ import annotations

import pytest

from ..discovery.admission import admit
from ..endpoint import Endpoint
from ..interfaces.discovery import AddressSource, Query
from .guard import alone
from .listings import BAD_ENTRIES, HARD, LARGE, PLAIN, WEIGHTED, Listed, addresses_listed, addresses_of
from .provider_case import PRIVATE, ProviderCase

__all__ = ["ListRules"]


class ListRules(ProviderCase):
    """What is believed."""

    def test_good_list_is_read(self) -> None:
        """Address and port of every entry, and nothing else."""
        self.needs("discovery")
        assert addresses_of(self.good().believed) == addresses_listed(PLAIN), "the list is not what the cloud lists"

    def test_hard_addresses_are_read(self) -> None:
        """IPv6 in each notation, two ports on one address, the ends of the range of ports."""
        self.needs("discovery")
        told = self.told(self.discovery(), HARD)
        assert addresses_of(told.believed) == addresses_listed(HARD), "an address that is right was lost or changed"

    def test_large_list_is_read_whole(self) -> None:
        """Two thousand instances."""
        self.needs("discovery")
        assert len(self.told(self.discovery(), LARGE).believed.endpoints) == len(LARGE), "a part of the list is lost"

    def test_weights_are_read_if_they_are_claimed(self) -> None:
        """0 (drain), 1, the largest one; a missing weight is unknown, and not 0 or 1."""
        self.needs("discovery")
        weights = [endpoint.weight for endpoint in self.told(self.discovery(), WEIGHTED).believed.endpoints]
        unknown = {endpoint.weight for endpoint in self.good().believed.endpoints}
        if "weights" in self.claimed:
            assert weights == [each.weight for each in WEIGHTED], f"the weights are {weights}"
            assert unknown == {None}, f"a weight that the cloud does not say is unknown (None), not {unknown}"
        else:
            assert set(weights) == {None}, "weights are read and `weights` is not claimed"

    @pytest.mark.parametrize("bad", BAD_ENTRIES, ids=lambda bad: f"{bad.host!r}:{bad.port!r}")
    def test_entry_that_nobody_can_call_is_no_endpoint(self, bad: Listed) -> None:
        """It is left out with a sentence in `rejected`, or the answer is refused as a whole. It is never repaired."""
        self.needs("discovery")
        good = Listed("10.0.0.7", 8000)
        told = self.told(self.discovery(), [good, bad])
        if told.snapshot is not None:
            found = addresses_of(told.snapshot)
            assert found <= addresses_listed([good]), f"{bad} became an endpoint: {found - addresses_listed([good])}"
            assert found, f"the good entry beside {bad} is lost, and no error says so"
            assert told.snapshot.rejected, f"{bad} is left out and `rejected` does not say so"

    @pytest.mark.parametrize("weight", [-1, 2**31, 10**30, 0.5, float("inf"), "many", True, [1]], ids=repr)
    def test_weight_that_is_none_is_not_believed(self, weight: object) -> None:
        """The entry is left out, the weight becomes unknown, or the answer is refused; nothing breaks."""
        self.needs("discovery")
        told = self.told(self.discovery(), [Listed("10.0.0.7", 8000, weight), Listed("10.0.0.8", 8000)])
        if told.snapshot is not None:
            assert Endpoint("10.0.0.8", 8000).id in {endpoint.id for endpoint in told.snapshot.endpoints}, (
                "one bad weight took a good entry with it, and no error says so"
            )

    def test_ids_are_stable_and_tell_endpoints_apart(self) -> None:
        """Statistics follow the id: one id for one address, the same in every answer."""
        self.needs("discovery")
        discovery = self.discovery()
        first = self.told(discovery, PLAIN + HARD).believed.endpoints
        again = self.told(discovery, HARD + PLAIN).believed.endpoints
        ids = {endpoint.id: (endpoint.host, endpoint.port) for endpoint in first}
        assert len(ids) == len({(endpoint.host, endpoint.port) for endpoint in first}), (
            "two addresses have one id: the core would take them for one endpoint"
        )
        assert ids == {endpoint.id: (endpoint.host, endpoint.port) for endpoint in again}, (
            "an id changed though its address did not"
        )

    def test_address_that_is_listed_twice_is_one_endpoint(self) -> None:
        """Its id is the same both times, so the core folds it."""
        self.needs("discovery")
        told = self.told(self.discovery(), [*PLAIN, PLAIN[0]])
        if told.snapshot is not None:
            kept = admit(told.snapshot, AddressSource.CONFIGURED, ()).endpoints
            assert len(kept) == len(PLAIN), f"{len(kept)} endpoints at {len(PLAIN)} addresses"

    def test_addresses_from_the_network_are_checked_by_the_core(self) -> None:
        """Whoever can poison an answer could otherwise lead a token to any host."""
        discovery = self.discovery()
        with alone("`addresses`"):
            source = discovery.addresses
        assert isinstance(source, AddressSource), "`addresses` is an AddressSource"
        if self.asks and any(isinstance(query, Query) for query in self.good().queries):
            assert source is not AddressSource.CONFIGURED, (
                "addresses that are learned over the network are LEARNED or LEARNED_NAMES, not CONFIGURED"
            )
            snapshot = self.told(discovery, [*PLAIN, Listed("8.8.8.8", 80)]).snapshot
            kept = () if snapshot is None else admit(snapshot, source, PRIVATE).endpoints
            assert all(endpoint.host != "8.8.8.8" for endpoint in kept)
