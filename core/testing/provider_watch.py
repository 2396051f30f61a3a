"""Rules for a control plane that tells changes by itself.

Either an answer stays open (`Query(watch=True)`) and its pieces tell changes, or a question is answered when something
changes. What was missed is never trusted: a watch that ends, breaks or is silent too long is followed by another list.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from ..errors import Phase, TransportError
from ..interfaces.discovery import NEXT_PIECE, Query
from ..message import Reply
from .listings import HARD, NO_LIST, PLAIN, Listed, addresses_listed, addresses_of
from .provider_case import ProviderCase
from .spoiling import spoiled
from .watching import Watching

__all__ = ["WatchRules"]

_SHORTER = PLAIN[:1]
_SILENT = TransportError("nothing comes", phase=Phase.STREAM, timed_out=True)
_BROKEN = TransportError("the answer broke off", phase=Phase.STREAM)


class WatchRules(ProviderCase):
    """The rules for conversations that go on after their first list."""

    def test_conversation_goes_on_if_watch_is_claimed(self) -> None:
        """`watch` says truly whether changes are told: the first list is yielded, and then something is waited for."""
        if not self.asks:
            assert "watch" not in self.claimed, "`watch` is claimed and nothing is asked"
            return
        watching = self._begun()
        assert addresses_of(watching.lists[0]) == addresses_listed(PLAIN), "the first list is not what the cloud lists"
        if "watch" in self.claimed:
            assert watching.waits_for is not None, "`watch` is claimed and the conversation ends with its first list"
        else:
            assert watching.waits_for is None, "the conversation goes on after its list, and `watch` is not claimed"

    def test_change_is_told(self) -> None:
        """Instances that come, that go, and all at once: the last list told is the one of the cloud."""
        watching = self._watching()
        listed: Sequence[Listed] = PLAIN
        for after in ((*PLAIN, *HARD), _SHORTER, HARD):
            for answer in self._news(watching, listed, after):
                watching.send(answer)
            assert addresses_of(watching.lists[-1]) == addresses_listed(after), "a change is not told, or told wrongly"
            assert watching.waits_for is not None, "a change ends the watch"
            listed = after

    def test_piece_that_cannot_be_read_is_not_passed_over(self) -> None:
        """A change may have been in it: it is a failure, or the list is asked for anew."""
        for piece in NO_LIST:
            if piece.strip():
                watching = self._watching()
                watching.send(Reply(200, content=piece + b"\n"))
                self._assert_not_trusted(watching, f"the piece {piece[:24]!r} cannot be read")

    def test_spoiled_piece_is_no_surprise(self) -> None:
        """A change with one part missing, or of another type: a valid list, or a `DiscoveryError`."""
        answers = self._news(self._watching(), PLAIN, HARD)
        for number, answer in enumerate(answers):
            for body in spoiled(answer.content):
                watching = self._watching()
                for before in answers[:number]:
                    watching.send(before)
                watching.send(Reply(200, content=body))

    def test_watch_that_ends_is_followed_by_a_list(self) -> None:
        """A conversation that opens one watch after another, each of which ends at once, is a loop without a pause."""
        watching = self._watching()
        if watching.waits_for is not NEXT_PIECE:
            pytest.skip("no answer is kept open")
        for _ in range(3):
            if watching.waits_for is NEXT_PIECE:
                watching.send(Reply(200))
                watching.open()
        self._assert_not_trusted(watching, "a watch has ended")

    def test_watch_that_is_lost_is_followed_by_a_list(self) -> None:
        """The core ends one that hangs (`timeout`) or breaks with a `TransportError`: it passes, or a list is asked."""
        for lost in (_SILENT, _BROKEN):
            watching = self._watching()
            is_stream = watching.opened > 0
            watching.send(lost)
            if is_stream:  # a question that is not answered is just asked again
                self._assert_not_trusted(watching, f"a watch was lost ({lost})")

    def test_watch_that_is_refused_tells_nothing(self) -> None:
        """A `DiscoveryError`, or another list is asked for; the body is not read."""
        self.needs("watch")
        for status in (401, 403, 410, 429, 500, 503):
            watching = self._begun()
            watching.send(Reply(status, content=b"{}"))
            self._assert_not_trusted(watching, f"the watch was refused with status {status}")

    def test_watch_that_is_given_up_leaves_nothing_behind(self) -> None:
        """The core closes it, which closes its connection; the next conversation begins with a list."""
        self.needs("watch")
        discovery = self.discovery()
        first = Watching(discovery, self.cloud(), self.tells_the_list)
        first.open()
        first.give_up()
        again = Watching(discovery, self.cloud(_SHORTER), self.tells_the_list)
        assert [addresses_of(told) for told in again.lists] == [addresses_listed(_SHORTER)], (
            "after a watch that was given up, the next conversation does not begin with the list"
        )

    # --- helpers ------------------------------------------------------------------------------------------------------

    def _begun(self) -> Watching:
        """A conversation that has told its first list."""
        watching = Watching(self.discovery(), self.cloud(), self.tells_the_list)
        assert watching.error is None, f"a good answer was not believed: {watching.error!r}"
        assert watching.lists, "no list is told before the conversation waits for a change"
        return watching

    def _watching(self) -> Watching:
        """A conversation that waits for a change; an answer is open, if that is how changes come."""
        self.needs("watch")
        watching = self._begun()
        watching.open()
        assert watching.waits_for is not None, "the conversation does not wait for a change"
        return watching

    def _news(self, watching: Watching, listed: Sequence[Listed], after: Sequence[Listed]) -> list[Reply]:
        """What the cloud sends when its list changes."""
        if isinstance(watching.waits_for, Query):
            return [self.answer(watching.waits_for, after)]
        return [Reply(200, content=piece) for piece in self.change(listed, after)]

    def _assert_not_trusted(self, watching: Watching, what: str) -> None:
        """It failed, has ended, or asks for the list; and tells no list that the cloud does not have."""
        asked = watching.waits_for
        asks_anew = isinstance(asked, Query) and not asked.watch and watching.opened > 0
        assert asked is None or asks_anew, f"{what}, and the conversation goes on as if nothing was missed"
        told = {addresses_of(each) for each in watching.lists}
        assert told == {addresses_listed(PLAIN)}, f"{what}, and another list was told"
