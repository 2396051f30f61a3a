"""What a process believes of what another one published: as if it came from the network, with its true age."""

from __future__ import annotations

from dataclasses import replace

from ..endpoint import Snapshot
from ..errors import CredentialError, DiscoveryError
from .belief import Belief, after_failure
from .link import HOLD_MARGIN
from .poller import Poller
from .publication import Publication
from .saved_list import unpack_list
from .shared_credential import REFUSED_FOR

__all__ = ["Hearing"]


class Hearing:
    """Mutable state: the list that was heard last, packed and unpacked.

    Args:
        poller: Whose belief it is.
        store: The store, as people may see it.
    """

    def __init__(self, poller: Poller, store: str) -> None:
        self._poller = poller
        self._store = store
        self._list: tuple[bytes, Snapshot] | None = None

    def belief(self, told: Publication, published_at: float, now: float) -> Belief:
        """What there would be to believe. Changes nothing of the poller.

        Args:
            told: What was published.
            published_at: When, on the monotonic clock.
            now: The time.

        Raises:
            SavedListUnreadable: The list in it cannot be read.
        """
        poller = self._poller
        before = after = poller.belief
        if told.body and (not told.error or self._is_newer(published_at - told.list_age)):
            if self._list is None or self._list[0] != told.body:
                self._list = (told.body, unpack_list(told.body))
            after = poller.judge(self._list[1], published_at - told.list_age)
            after = replace(after, is_empty=after.is_empty or told.is_empty)
        if not told.error:
            return after
        failure: DiscoveryError = DiscoveryError(
            f"{told.error} (so says the process that asks, through the store {self._store})"
        )
        if told.is_hopeless and now - published_at < REFUSED_FOR:
            failure = CredentialError(told.error, permanent=True)
        # The list that comes with a failure is no answer of its own: it ends no row of failures.
        same = replace(
            after, questions=before.questions, failures=before.failures, failures_in_row=before.failures_in_row
        )
        return after_failure(same, failure)

    def _is_newer(self, list_at: float) -> bool:
        """Whether the list that a process kept through a failure is surely newer than ours, which may be our own."""
        confirmed_at = self._poller.belief.confirmed_at
        return confirmed_at is None or list_at - self._poller.settings.timeout - HOLD_MARGIN >= confirmed_at
