"""Rules for answers that are no list: what is never believed.

Every conversation here runs under guard (`conversation.talk`): no I/O, no waiting, no clock, an end, a `Snapshot` or a
`DiscoveryError`. The rules add what the answers mean.
"""

from __future__ import annotations

import itertools
import json
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from ..discovery.belief import Belief, after_answer, after_failure
from ..endpoint import Endpoint
from ..errors import DiscoveryError, DiscoveryThrottled, TransportError
from ..errors import Phase as WirePhase
from ..interfaces.discovery import Discovery, EmptyAnswer, PollContext
from ..message import Reply
from .conversation import NOW, Answer, Asked, Cloud, Told, talk
from .guard import alone
from .listings import HARD, NO_LIST, PLAIN, addresses_listed, addresses_of
from .provider_case import PRIVATE, ProviderCase
from .spoiling import spoiled

__all__ = ["AnswerRules"]

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


class AnswerRules(ProviderCase):
    """What is never believed."""

    def test_status_that_is_not_success_is_no_list(self) -> None:
        """Even with a perfect list in its body: an answer counts only with status 200."""
        self.needs("discovery")
        for status in _BAD_STATUSES:
            told = talk(self.discovery(), self._with_status(status))
            assert told.error is not None, f"status {status} was taken for a list"

    @pytest.mark.parametrize("body", NO_LIST, ids=lambda body: repr(body[:24]))
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
            assert addresses_of(told.believed) == addresses_listed(PLAIN), (
                "after a 401, something else than the list is believed"
            )
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
            found = addresses_of(self.told(discovery, listed).believed)
            assert found == addresses_listed(listed), "the list is not the one of this answer"

    def test_conversation_that_is_given_up_leaves_nothing_behind(self) -> None:
        """The core closes a conversation when its time is over; the next one starts afresh."""
        self.needs("discovery")
        discovery = self.discovery()
        conversation = discovery.poll(PollContext(NOW))
        with alone("a conversation that is given up"):
            next(conversation)
            conversation.close()
        assert addresses_of(self.told(discovery).believed) == addresses_listed(PLAIN), (
            "a given-up conversation spoils the next"
        )

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

    # --- helpers ------------------------------------------------------------------------------------------------------

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
            networks=PRIVATE,
        )
