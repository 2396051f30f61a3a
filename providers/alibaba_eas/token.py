"""The token of the calls: where it comes from, and how it stays fresh.

A token that never changes needs none of this: it becomes a header when an endpoint is first listed. The others are kept
in a `CallToken`, which each call reads, and which an upkeep fills.
"""

from __future__ import annotations

import math
import os
import re
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable
from pathlib import Path

from ...core.endpoint import Snapshot
from ...core.errors import CredentialError
from ...core.fields import Secret
from ...core.fields.secret import FILE_PREFIX, Referenced
from ...core.interfaces import Conversation, LocalQuery, PollContext, Sign
from ...core.message import Headers, Reply, Request
from .auth import Scheme, fixed_headers, make_sign
from .control_plane import ControlPlane

__all__ = ["CallToken", "FetchedToken", "TokenFile", "TokenVariable", "read_settled"]

RENEW_EVERY = 60.0
"""A token that is refused is fetched anew at most once in so many seconds: who sends it wrong would ask without end."""

_SENDABLE = re.compile(r"[\x21-\x7e]+")
_LOOKS = 5
_PAUSE = 0.02
"""Seconds between two looks at a file that has changed."""


class CallToken:
    """The token that calls carry now. Empty at first.

    Mutable state: one reference, which is replaced as a whole. Any number of threads read it.

    Args:
        scheme: How it is sent.
    """

    def __init__(self, scheme: Scheme) -> None:
        self._scheme: Scheme = scheme
        self._held: tuple[Secret, Sign] | None = None

    @property
    def held(self) -> Secret | None:
        """The token; None before the first one."""
        return None if self._held is None else self._held[0]

    def take(self, token: Secret) -> None:
        """From now on, calls carry this one."""
        if self.held != token:
            self._held = (token, make_sign(token, self._scheme) or _always(fixed_headers(token, self._scheme)))

    def headers(self, request: Request, unix_time: float) -> Headers:
        """The headers of a call."""
        held = self._held
        return () if held is None else held[1](request, unix_time)

    def __repr__(self) -> str:
        return f"<CallToken {self._scheme}, {'none yet' if self._held is None else 'held'}>"


def _always(headers: Headers) -> Sign:
    def add(request: Request, unix_time: float) -> Headers:
        del request, unix_time
        return headers

    return add


class _ReadToken(ABC):
    """Reads the token on this machine, again and again.

    Mutable state: what was found last.

    Args:
        place: Where it stands, such as `the token file /run/token`.
        step: What to do where it is missing.
        token: Where to keep it.
    """

    def __init__(self, place: str, step: str, token: CallToken) -> None:
        self._place = place
        self._step = step
        self._token = token
        self._found: Secret | None = None

    @property
    def identity(self) -> Hashable:
        return "alibaba_eas read token", self

    def poll(self, context: PollContext) -> Conversation:
        """One look, whatever `context` says: a look costs no request.

        Raises:
            CredentialError: There is no token.
            TransportError: It cannot be read in time.
        """
        del context
        try:
            yield LocalQuery(self._place, self._look)
        except ValueError as error:  # its text names the place, and not what is there
            raise CredentialError(f"{error}. Next: {self._step}") from None
        if self._found is not None:
            self._token.take(self._found)
        return Snapshot(attributes={"token": self._place})

    def _look(self) -> Reply:
        """In a thread: may block."""
        self._found = self._read(self._token.held)
        return Reply(200)

    @abstractmethod
    def _read(self, held: Secret | None) -> Secret: ...

    def __repr__(self) -> str:
        return f"<{type(self).__name__}, {self._place}>"


class TokenFile(_ReadToken):
    """A token in a file.

    Args:
        path: The file. It may be replaced at any time, or be a link that is.
        token: Where to keep it.
    """

    def __init__(self, path: Path, token: CallToken) -> None:
        step = "write the token into another file of the same folder, and rename that to this name"
        super().__init__(f"the token file {path}", step, token)
        self._path = path

    def _read(self, held: Secret | None) -> Secret:
        return read_settled(self._path, held)


class TokenVariable(_ReadToken):
    """A token in an environment variable of this process, which the program itself may set anew.

    Args:
        name: The variable.
        token: Where to keep it.
    """

    def __init__(self, name: str, token: CallToken) -> None:
        super().__init__(f"the environment variable {name}", f"set {name} in `os.environ` of this program", token)
        self._name = name

    def _read(self, held: Secret | None) -> Secret:
        del held
        text = os.environ.get(self._name, "")
        return _sendable(Secret.from_text(Referenced(text, f"${{{self._name}}}")), self._name)


def read_settled(path: Path, held: Secret | None, pause: Callable[[float], None] = time.sleep) -> Secret:
    """The token in a file. Another one than `held` is believed when two looks, one after the other, find the same: a
    file that is written in place is half written for a moment.

    Raises:
        ValueError: There is no token in it, or it changes all the time. The text does not quote the file.
    """
    before: Secret | None = None
    for _ in range(_LOOKS):
        found = _sendable(Secret.from_text(f"{FILE_PREFIX}{path}"), str(path))
        if found in (held, before):
            return found
        before = found
        pause(_PAUSE)
    raise ValueError(f"the token file {path} changes all the time")


def _sendable(found: Secret, where: str) -> Secret:
    """The token without the space around it, which nobody meant.

    Raises:
        ValueError: It cannot be sent. The text does not quote it.
    """
    text = found.reveal().strip()
    if not _SENDABLE.fullmatch(text):
        raise ValueError(f"the token in {where} has a space or a character that is not ASCII, so it cannot be sent")
    return Secret(text, found.reference)


class FetchedToken:
    """Asks the control plane for the token.

    Mutable state: when it was fetched, and when it was last fetched since the one before was refused.

    Args:
        plane: Whom to ask.
        token: Where to keep it.
        refresh: Seconds after which it is fetched again in any case.
    """

    def __init__(self, plane: ControlPlane, token: CallToken, refresh: float) -> None:
        self._plane = plane
        self._token = token
        self._refresh = refresh
        self._fetched_at = -math.inf
        self._renewed_at = -math.inf

    @property
    def identity(self) -> Hashable:
        return "alibaba_eas fetched token", self

    def poll(self, context: PollContext) -> Conversation:
        """Fetches the token, unless it was refused and renewed less than a minute ago.

        Raises:
            DiscoveryError: It cannot be had. The one that we have stays in use.
        """
        now = context.unix_time
        if context.reauthenticate:
            if 0 <= now - self._renewed_at < RENEW_EVERY:
                return Snapshot(ask_again_in=max(0.0, self._fetched_at + self._refresh - now))
            self._renewed_at = now
        self._token.take((yield from self._plane.token(now)))
        self._fetched_at = now
        return Snapshot(ask_again_in=self._refresh)

    def __repr__(self) -> str:
        return f"<FetchedToken of {self._plane.service} from {self._plane.origin}>"
