"""The Discovery contract: what to ask a control plane, and how to read its answer.

A discovery is a conversation without I/O, in the manner of `httpx.Auth.auth_flow`: a generator yields a `Query`, is
sent the `Reply`, and returns a `Snapshot`. One body serves sync code, async code and tests without a socket. What is
not asked over HTTP (a file, a name server) is a `LocalQuery`. Where the control plane tells of changes by itself, the
conversation goes on: it yields each list as a `Snapshot`, and reads on in an answer that stays open.

The core owns everything else: the timer and its jitter, one question at a time, the last good list, what to believe,
the rate budget, and who shares the answer. A discovery must not sleep, read a clock, or keep a list of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Hashable
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, Protocol, TypeAlias, runtime_checkable

from ..endpoint import Snapshot
from ..message import Headers, Reply

__all__ = [
    "NEXT_PIECE",
    "AddressSource",
    "Conversation",
    "Discovery",
    "EmptyAnswer",
    "LocalQuery",
    "NextPiece",
    "PollContext",
    "Query",
    "RateBudget",
    "Step",
    "Upkeep",
]


@dataclass(frozen=True, slots=True)
class RateBudget:
    """A limit that a control plane sets on how often it is asked.

    Args:
        name: Who is limited, in a form that is equal for everybody who shares the limit, such as
            `modelarts/cn-north-4/user/alice`. Never holds a secret.
        limit: How many queries.
        window: In how many seconds; a sliding window.
    """

    name: str
    limit: int
    window: float

    def __post_init__(self) -> None:
        if self.limit < 1 or not self.window > 0:
            raise ValueError(f"budget {self.name!r}: limit must be 1 or more and window above 0 seconds")


@dataclass(frozen=True, slots=True)
class Query:
    """One request to a control plane.

    Args:
        url: Absolute URL.
        method: HTTP method. Default `"GET"`.
        headers: Header fields. Secrets may stand here; they are never logged.
        content: The body. Default: none.
        budgets: The rate budgets that this request spends from. The core waits until all of them allow it.
        timeout: Seconds that the answer may take as a whole; for a control plane that answers when something changes
            (a "blocking query", a "long poll"). Default: the setting `discovery.timeout`. With `watch`: seconds that
            one piece may take, 60 by default; the head of the answer must come within the setting's time.
        watch: Keep the answer open. Its status and headers come as a `Reply` without content; then each `NEXT_PIECE`
            that is yielded gives a piece of the body. Whatever else is asked ends it. Default: no.
        trust: Certificates (PEM) of the authorities that are trusted for this request, in place of the usual ones; for
            https. Default: the usual ones.
        login: For a request that holds a password which the platform may refuse for good: whose, equal for equal
            passwords, and no secret in clear. In a process only one such request is under way, and none is sent for 5
            minutes after a conversation ended with a permanent `CredentialError` because of it; then that error is
            thrown in. Default: it is no login.

    Raises:
        ValueError: `timeout` is not above 0.
    """

    url: str
    method: str = "GET"
    headers: Headers = field(default=(), repr=False)
    content: bytes = field(default=b"", repr=False)
    budgets: tuple[RateBudget, ...] = ()
    timeout: float | None = None
    watch: bool = False
    trust: str | None = None
    login: Hashable | None = None

    def __post_init__(self) -> None:
        if self.timeout is not None and not self.timeout > 0:
            raise ValueError(f"timeout must be above 0 seconds, not {self.timeout!r}")

    def __repr__(self) -> str:
        # A query string may hold a secret.
        return f"<Query {self.method} {self.url.partition('?')[0]}>"


@dataclass(frozen=True, slots=True)
class LocalQuery:
    """One question that is not asked over HTTP: a file, a name server, a vendor's library that blocks.

    The core calls `run` in a daemon thread and sends its `Reply` back. It has as long as a `Query` has (the setting
    `discovery.timeout`); after that the thread is left alone, and its answer is dropped. As long as it hangs, the same
    question (the same `what` of the same discovery) waits for it, and no second thread is started.

    What `run` raises is thrown into the conversation: an `OSError` as a `TransportError`, anything else as it is. A
    conversation that does not catch it ends: with a `DiscoveryError` (a refused credential, say) as its own failure,
    with all others as a mistake of the plug-in.

    Args:
        what: What is asked, for error texts, such as `the file /etc/models.json`. Never holds a secret. Equal for equal
            questions.
        run: Asks, and gives the answer; status 200 if all is well. It may block. It must not rely on a thread of its
            own: each run may have another.
        budgets: The rate budgets that this question spends from. Default: none.
    """

    what: str
    run: Callable[[], Reply] = field(repr=False)
    budgets: tuple[RateBudget, ...] = ()


@dataclass(frozen=True, slots=True)
class PollContext:
    """What a discovery may know when it is asked to poll.

    Args:
        unix_time: Seconds since 1970, for signatures and token expiry. The only clock a discovery sees.
        previous: The list that is believed now; None before the first one.
        reauthenticate: Whether an instance or gateway refused our credential, so that a cached one must not be used.
    """

    unix_time: float
    previous: Snapshot | None = None
    reauthenticate: bool = False


class NextPiece(Enum):
    """The type of `NEXT_PIECE`."""

    NEXT_PIECE = "next piece"


NEXT_PIECE: Final = NextPiece.NEXT_PIECE
"""Yielded to read on in the answer that a `Query` with `watch` keeps open.

A piece is one line, with the line feed at its end. It comes as the content of a `Reply`; an empty content is the end of
the answer. A stream that breaks off, or a piece that takes longer than the query's `timeout`, is thrown in as a
`TransportError`."""

Step: TypeAlias = Query | LocalQuery | NextPiece | Snapshot
"""What a conversation may yield."""

Conversation = Generator[Step, Reply, Snapshot]
"""Yields queries, is sent replies, returns a snapshot.

When a query gets no reply at all, the core throws `TransportError` into the generator: catch it to try another host,
or let it pass. Raise a `DiscoveryError` when the answer cannot be used.

A `Snapshot` that is yielded is believed and told at once, and the conversation goes on (it is sent an empty `Reply`).
The same list again confirms it: its age begins anew. From the first one on, the conversation counts as a watch: it is
fresh by itself, so a failed call asks no early question; one that needs another credential ends it."""


class AddressSource(Enum):
    """Where addresses come from, which decides how they are checked."""

    LEARNED = "learned"
    """From an answer on the network. Must be IP addresses in an allowed network: a poisoned answer must not send a
    token to a stranger."""
    LEARNED_NAMES = "learned names"
    """As LEARNED, but host names are accepted too, unchecked: for sources that are trusted to name hosts."""
    CONFIGURED = "configured"
    """Written by the user. Taken as they are."""


class EmptyAnswer(Enum):
    """What a well-formed answer without endpoints means."""

    REFUSE = "refuse"
    """It is not believed and counts as a failure: the cloud's own clients keep their list then."""
    KEEP = "keep"
    """It is a valid answer ("nobody is ready"), but a list that served before stays in use."""
    BELIEVE = "believe"
    """It is the truth: nobody serves."""


@runtime_checkable
class Discovery(Protocol):
    """Finds the endpoints of one route."""

    @property
    def identity(self) -> Hashable:
        """Equal for two discoveries that ask the same question with the same credential: they share one poller.

        Never holds a secret in clear; see `directlane.core.fields.Secret.fingerprint`.
        """
        ...

    @property
    def addresses(self) -> AddressSource:
        """Where the addresses of its snapshots come from."""
        ...

    @property
    def empty_answer(self) -> EmptyAnswer:
        """What an answer without endpoints means."""
        ...

    def poll(self, context: PollContext) -> Conversation:
        """One conversation with the control plane.

        Raises:
            DiscoveryError: The answer cannot be used. The subclass says why.
        """
        ...


@runtime_checkable
class Upkeep(Protocol):
    """Keeps fresh what the calls of one route need, such as a token: a conversation of the same kind as a discovery.

    It runs in each process for itself, and its answer is not shared through a store: `Provider.wire` reads what the
    conversation has learned, from an object that both know.
    """

    @property
    def identity(self) -> Hashable:
        """Two upkeeps that are equal here are run once. So it names the object that the wire reads; never a secret in
        clear."""
        ...

    def poll(self, context: PollContext) -> Conversation:
        """One round. Learn, and return a `Snapshot` without endpoints; `ask_again_in` says when the next one is due.

        With `context.reauthenticate` an endpoint refused what calls have sent: learn anew, or return at once if that
        was done a moment ago. The same waits as for a discovery hold when it fails.

        Raises:
            DiscoveryError: Nothing was learned. What was learned before stays in use. Before the first success, the
                route gets no calls, and their error says why.
        """
        ...
