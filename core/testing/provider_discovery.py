"""Rules for discovery: what is asked, what is believed, and what never is.

Every conversation here runs under guard (`conversation.talk`): no I/O, no waiting, no clock, an end, a `Snapshot` or a
`DiscoveryError`. The rules add what the answers mean.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Hashable, Sequence
from dataclasses import replace
from ipaddress import ip_address, ip_network

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from ..discovery.admission import admit
from ..discovery.belief import Belief, after_answer, after_failure
from ..endpoint import Endpoint, Snapshot
from ..errors import DiscoveryError, DiscoveryThrottled, TransportError
from ..errors import Phase as WirePhase
from ..interfaces.discovery import AddressSource, Discovery, EmptyAnswer, PollContext, Query
from ..message import Reply
from .canaries import Canaries
from .conversation import NOW, Answer, Asked, Cloud, Told, talk
from .guard import alone
from .listings import BAD_ENTRIES, HARD, LARGE, PLAIN, WEIGHTED, Listed
from .provider_case import ProviderCase
from .spoiling import spoiled

__all__ = ["DiscoveryRules"]

_PRIVATE = tuple(ip_network(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fd00::/8"))
_NO_LIST: tuple[bytes, ...] = (
    b"",
    b" ",
    b"<html><body>Please log in</body></html>",
    b'{"a": [{"ip": "10.9.9',
    b"null",
    b"17",
    b'"busy"',
    b"\xff\xfe\x00",
    b'{"error": "busy", "message": "try again"}',
    b"[" * 5000,
)
"""Bodies that are no list on any cloud."""

_BAD_STATUSES = (*range(300, 309), 400, 401, 403, 404, 405, 407, 408, 409, 410, 418, 450, 500, 501, 502, 503, 504, 599)

_text = st.text('abip09.:/\\"{}[] \u00e9\ud800', max_size=8)
_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | _text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_text, inner, max_size=4),
    max_leaves=12,
)
_bodies = st.binary(max_size=60) | _values.map(lambda value: json.dumps(value).encode())
_replies = st.builds(
    Reply,
    st.sampled_from((200, 200, 200, 204, 302, 401, 403, 404, 429, 500, 503)),
    st.lists(st.tuples(st.sampled_from(("Retry-After", "X-Subject-Token", "Location")), _text)).map(tuple),
    _bodies,
)


class DiscoveryRules(ProviderCase):
    """The rules for `Discovery`."""

    # --- what is asked ------------------------------------------------------------------------------------------------

    def test_control_plane_is_asked_if_discovery_is_claimed(self) -> None:
        """`discovery` says truly whether there is a control plane."""
        told = talk(self.discovery(), self.cloud())
        if self._asks:
            assert told.queries, "`discovery` is claimed and nothing is asked"
        else:
            assert told.believed.endpoints, "no list is asked for, so it must be known from the start"

    def test_queries_can_be_sent(self) -> None:
        """Absolute URLs, header fields in one line, budgets that are named without secrets."""
        for query in self._good().queries:
            if isinstance(query, Query):
                assert re.match(r"https?://[^/]", query.url), f"the URL is not absolute, or not of HTTP: {query!r}"
                assert query.method == query.method.upper(), f"methods are written in upper case: {query.method!r}"
                assert isinstance(query.headers, tuple), "header fields are a tuple of pairs"
                for name, value in query.headers:
                    assert not re.search(r"[\x00-\x1f\x7f]", name + value), f"a control character in header {name!r}"
            assert isinstance(query.budgets, tuple), "the budgets of a query are a tuple"

    # --- what is believed ---------------------------------------------------------------------------------------------

    def test_good_list_is_read(self) -> None:
        """Address and port of every entry, and nothing else."""
        self.needs("discovery")
        assert _addresses(self._good().believed) == _wanted(PLAIN), "the list is not what the cloud lists"

    def test_hard_addresses_are_read(self) -> None:
        """IPv6 in each notation, two ports on one address, the ends of the range of ports."""
        self.needs("discovery")
        told = self.told(self.discovery(), HARD)
        assert _addresses(told.believed) == _wanted(HARD), "an address that is right was lost or changed"

    def test_large_list_is_read_whole(self) -> None:
        """Two thousand instances."""
        self.needs("discovery")
        assert len(self.told(self.discovery(), LARGE).believed.endpoints) == len(LARGE), "a part of the list is lost"

    def test_weights_are_read_if_they_are_claimed(self) -> None:
        """0 (drain), 1, the largest one; a missing weight is unknown, and not 0 or 1."""
        self.needs("discovery")
        weights = [endpoint.weight for endpoint in self.told(self.discovery(), WEIGHTED).believed.endpoints]
        unknown = {endpoint.weight for endpoint in self._good().believed.endpoints}
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
            found = _addresses(told.snapshot)
            assert found <= _wanted([good]), f"{bad} became an endpoint: {found - _wanted([good])}"
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
        if self._asks and any(isinstance(query, Query) for query in self._good().queries):
            assert source is not AddressSource.CONFIGURED, (
                "addresses that are learned over the network are LEARNED or LEARNED_NAMES, not CONFIGURED"
            )
            snapshot = self.told(discovery, [*PLAIN, Listed("8.8.8.8", 80)]).snapshot
            kept = () if snapshot is None else admit(snapshot, source, _PRIVATE).endpoints
            assert all(endpoint.host != "8.8.8.8" for endpoint in kept)

    # --- what is never believed ---------------------------------------------------------------------------------------

    def test_status_that_is_not_success_is_no_list(self) -> None:
        """Even with a perfect list in its body: an answer counts only with status 200."""
        self.needs("discovery")
        for status in _BAD_STATUSES:
            told = talk(self.discovery(), self._with_status(status))
            assert told.error is not None, f"status {status} was taken for a list"

    @pytest.mark.parametrize("body", _NO_LIST, ids=lambda body: repr(body[:24]))
    def test_body_that_is_no_list_changes_nothing(self, body: bytes) -> None:
        """The list in use stays, and the failure is counted."""
        self.needs("discovery")
        discovery = self.discovery()
        before = self._belief_after_good(discovery)
        told = talk(discovery, lambda query: self._last(query, Reply(200, content=body)), previous=before.snapshot)
        after = self._belief_after(before, discovery, told)
        assert after.endpoints == before.endpoints, f"the body {body[:24]!r} emptied or changed the list"
        assert after.failures == before.failures + 1, f"the body {body[:24]!r} was taken for a good answer"

    def test_empty_list_means_what_the_case_says(self) -> None:
        """Refused or kept, unless the cloud's documents say that an empty list is the truth (`empty_answer`)."""
        discovery = self.discovery()
        with alone("`empty_answer`"):
            stated = discovery.empty_answer
        assert isinstance(stated, EmptyAnswer), "`empty_answer` is an EmptyAnswer"
        self.needs("discovery")
        assert stated is self.empty_answer, (
            f"`empty_answer` is {stated.name}, the case says {self.empty_answer.name}; the cloud decides"
        )
        before = self._belief_after_good(discovery)
        after = self._belief_after(before, discovery, self.told(discovery, [], previous=before.snapshot))
        if self.empty_answer is EmptyAnswer.BELIEVE:
            assert not after.endpoints, "an empty list is the truth, and the old list stays"
        else:
            assert after.endpoints == before.endpoints, "one empty answer emptied the list"

    def test_unauthorized_is_an_error(self) -> None:
        """Status 401 to everything: the credential is told to be wrong, again and again nobody asks."""
        self.needs("discovery")
        told = talk(self.discovery(), self._outside(Reply(401, content=b"{}")))
        assert isinstance(told.error, DiscoveryError), "status 401 to every query is a DiscoveryError"

    def test_one_refused_credential_then_a_list(self) -> None:
        """401 first, and then all is well: an error, or a second question and the right list."""
        self.needs("discovery")
        answers: list[Reply] = [Reply(401, content=b"{}")]
        told = talk(self.discovery(), lambda query: answers.pop() if answers else self.answer(query, PLAIN))
        if told.error is None:
            assert _addresses(told.believed) == _wanted(PLAIN), "after a 401, something else than the list is believed"
            assert len(told.queries) > 1, "a list is believed though the only answer was a 401"

    def test_throttling_is_told_with_its_delay(self) -> None:
        """Status 429 is `DiscoveryThrottled`, and its `Retry-After` reaches the core, which waits."""
        self.needs("discovery")
        for headers, wanted in (((("Retry-After", "17"),), 17.0), ((("retry-after", "0.5"),), 0.5), ((), None)):
            told = talk(self.discovery(), self._outside(Reply(429, headers, b"{}")))
            assert isinstance(told.error, DiscoveryThrottled), "status 429 is a DiscoveryThrottled"
            if wanted is not None:
                assert told.error.retry_after == wanted, (
                    f"Retry-After says {wanted} s and the error says {told.error.retry_after}: use `retry_after`"
                )
        told = talk(self.discovery(), self._outside(Reply(429, (("Retry-After", "soon"),), b"{}")))
        assert isinstance(told.error, DiscoveryThrottled), "a Retry-After that says nothing is no reason to fail"

    def test_silence_is_an_error_or_leads_elsewhere(self) -> None:
        """The core throws a `TransportError` when no reply comes: it passes, or another host is asked."""
        self.needs("discovery")
        for phase in (WirePhase.CONNECT, WirePhase.WAIT):
            lost = TransportError("no answer", phase=phase, timed_out=phase is WirePhase.WAIT)
            told = talk(self.discovery(), self._outside(lost))
            assert told.error is not None, "nobody answered and a list is believed"

    def test_list_is_not_kept(self) -> None:
        """The core keeps lists. A discovery with one of its own would hide an outage, or an update."""
        self.needs("discovery")
        discovery = self.discovery()
        self.told(discovery, PLAIN)
        told = talk(discovery, lambda query: self._last(query, Reply(500)))
        assert told.error is not None, "the control plane failed and an old list was believed"
        for listed in (HARD, PLAIN[:1], PLAIN, HARD):
            found = _addresses(self.told(discovery, listed).believed)
            assert found == _wanted(listed), "the list is not the one of this answer"

    def test_conversation_that_is_given_up_leaves_nothing_behind(self) -> None:
        """The core closes a conversation when its time is over; the next one starts afresh."""
        self.needs("discovery")
        discovery = self.discovery()
        conversation = discovery.poll(PollContext(NOW))
        with alone("a conversation that is given up"):
            next(conversation)
            conversation.close()
        assert _addresses(self.told(discovery).believed) == _wanted(PLAIN), "a given-up conversation spoils the next"

    def test_spoiled_answer_is_no_surprise(self) -> None:
        """A good answer with one part missing, or of another type: a valid list, or a `DiscoveryError`."""
        self.needs("discovery")
        discovery = self.discovery()
        queries = self.told(discovery).queries
        for place in range(len(queries)):
            if not self.is_from_outside(queries[place]):
                continue
            for body in spoiled(self.answer(queries[place], PLAIN).content):
                talk(self.discovery(), self._spoiling(place, body), steps=None)

    @settings(
        max_examples=60,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.differing_executors],
        phases=[Phase.explicit, Phase.generate],
    )
    @given(replies=st.lists(_replies, min_size=1, max_size=4))
    def test_any_replies_end_in_a_list_or_an_error(self, replies: list[Reply]) -> None:
        """Whatever comes back, in whatever order: an end, a valid list, or a `DiscoveryError`."""
        self.needs("discovery")
        script = [*replies]

        def cloud(query: Asked) -> Answer:
            return script.pop(0) if script and self.is_from_outside(query) else self.answer(query, PLAIN)

        told = talk(self.discovery(), cloud, steps=None)
        if told.snapshot is not None:
            assert isinstance(told.snapshot.endpoints, tuple), "the endpoints of a snapshot are a tuple"
            assert all(isinstance(endpoint, Endpoint) for endpoint in told.snapshot.endpoints)  # pyright: ignore[reportUnnecessaryIsInstance] - a plug-in is not type-checked

    # --- who shares a poller ------------------------------------------------------------------------------------------

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

    # --- renewing a credential ----------------------------------------------------------------------------------------

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

    # --- helpers ------------------------------------------------------------------------------------------------------

    @property
    def _asks(self) -> bool:
        return "discovery" in self.claimed

    def _good(self) -> Told:
        return talk(self.discovery(), self.cloud())

    def _last(self, query: Asked, reply: Reply) -> Reply:
        """This reply to the question for the list; what comes before it (a login) goes well."""
        return reply if self.tells_the_list(query) else self.answer(query, PLAIN)

    def _with_status(self, status: int) -> Cloud:
        def answered(query: Asked) -> Reply:
            good = self.answer(query, PLAIN)
            return replace(good, status=status) if self.is_from_outside(query) else good

        return answered

    def _outside(self, answer: Answer) -> Cloud:
        """Whatever comes from outside is this."""
        return lambda query: answer if self.is_from_outside(query) else self.answer(query, PLAIN)

    def _spoiling(self, place: int, body: bytes) -> Cloud:
        """All is well, but for the body of one answer."""
        count = itertools.count()

        def answered(query: Asked) -> Reply:
            good = self.answer(query, PLAIN)
            return replace(good, content=body) if next(count) == place else good

        return answered

    def _belief_after_good(self, discovery: Discovery) -> Belief:
        return self._belief_after(Belief(), discovery, self.told(discovery))

    def _belief_after(self, belief: Belief, discovery: Discovery, told: Told) -> Belief:
        """What the core believes after this conversation."""
        if told.snapshot is None:
            return after_failure(belief, DiscoveryError(str(told.error)))
        return after_answer(
            belief,
            told.snapshot,
            NOW,
            source=discovery.addresses,
            empty=discovery.empty_answer,
            networks=_PRIVATE,
        )

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


def _addresses(snapshot: Snapshot) -> frozenset[tuple[str, int]]:
    return frozenset((endpoint.host, endpoint.port) for endpoint in snapshot.endpoints)


def _wanted(listed: Sequence[Listed]) -> frozenset[tuple[str, int]]:
    return frozenset((str(ip_address(str(each.host))), int(str(each.port))) for each in listed)
