"""The error tree. Every error that directlane raises on purpose is one of these.

    DirectlaneError
    ├── ConfigError               the configuration is wrong: which file, where, what to write instead
    ├── PluginError               a plug-in cannot be loaded or broke its contract
    ├── UnknownServiceError       the configuration has no service of this name
    ├── InvalidRequestError       a body, path, header or method that cannot be sent (also a ValueError)
    ├── ClosedError               the client was used after `close()`
    ├── DiscoveryError            one question to a control plane had no usable answer
    │   ├── DiscoveryRefused      ... it answered with a status that is not success
    │   │   └── DiscoveryThrottled    ... it says that we ask too often
    │   ├── DiscoveryUnreadable   ... the answer does not parse or names no valid endpoint
    │   └── CredentialError       ... it does not accept, or we do not have, the credential
    ├── TransportError            one attempt failed on the wire; `phase` says how far it came
    └── CallError                 a call ended badly; carries the whole story
        ├── NoEndpointError       there was nobody to ask
        ├── AttemptsError         every allowed attempt failed
        ├── DeadlineError         the time was over
        ├── QueueFullError        every slot is in use, and so is every place in the queue
        └── StatusError           the answer has a status that is not success (`Reply.raise_for_status`)

(`StatusError` carries a reply and so stands in `message`.)

Split by blame: ConfigError and ClosedError are ours or the caller's, DiscoveryError is the control plane's,
TransportError and CallError the instances'. Facts are attributes; the text ends with the next step.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .endpoint import Endpoint

__all__ = [
    "AttemptRecord",
    "AttemptsError",
    "CallError",
    "ClosedError",
    "ConfigError",
    "ConfigProblem",
    "CredentialError",
    "DeadlineError",
    "DirectlaneError",
    "DiscoveryError",
    "DiscoveryRefused",
    "DiscoveryThrottled",
    "DiscoveryUnreadable",
    "InvalidRequestError",
    "NoEndpointError",
    "Phase",
    "PluginError",
    "QueueFullError",
    "TransportError",
    "UnknownServiceError",
    "headline",
]


class Phase(Enum):
    """How far an attempt came."""

    CONNECT = "connect"
    """No connection: nothing of the request left this machine, so it was not run."""
    SEND = "send"
    """The connection broke, or time ran out, while the request was going out. It may have been run."""
    WAIT = "wait"
    """The request is out and no answer has begun. It may have been run."""
    STREAM = "stream"
    """The answer has begun and did not end. It was run, at least in part."""
    DONE = "done"
    """The answer is complete."""

    @property
    def may_have_run(self) -> bool:
        """Whether the instance may have run the request."""
        return self is not Phase.CONNECT


class DirectlaneError(Exception):
    """The root of the tree."""

    def __reduce__(self) -> tuple[object, ...]:
        # The usual way calls the class with its text alone, which fails for errors with more arguments. Errors cross
        # processes (multiprocessing, concurrent.futures), and one that does not arrive there hides what went wrong.
        return _rebuilt, (type(self), self.args, self.__dict__)


def _rebuilt(kind: type[DirectlaneError], args: tuple[object, ...], facts: dict[str, object]) -> DirectlaneError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(facts)
    return error


def headline(error: BaseException) -> str:
    """What an error says, without its next step: for texts that quote it and have a next step of their own."""
    return str(error).partition("Next:")[0].rstrip(" .\n")


# --- configuration, plug-ins, use ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ConfigProblem:
    """One thing that is wrong in a configuration.

    Args:
        message: What is wrong and what to write instead. Never holds a secret.
        path: Where in the data, such as `services.scorecard.routes[0].token`. Empty: the file as a whole.
        line: Line in the file, from 1; None where the format does not tell.
        column: Column in the line, from 1; None where the format does not tell.
    """

    message: str
    path: str = ""
    line: int | None = None
    column: int | None = None


class ConfigError(DirectlaneError):
    """The configuration cannot be used.

    Attributes:
        source: The file, or a word for where the configuration came from.
        problems: Everything that was found, in the order of the file.
    """

    def __init__(self, source: str, problems: Sequence[ConfigProblem]) -> None:
        self.source = source
        self.problems: tuple[ConfigProblem, ...] = tuple(problems)
        super().__init__("\n".join(self._lines()))

    def _lines(self) -> list[str]:
        lines: list[str] = []
        for problem in self.problems:
            place = self.source
            if problem.line is not None:
                place += f":{problem.line}"
                if problem.column is not None:
                    place += f":{problem.column}"
            where = f" {problem.path}:" if problem.path else ""
            lines.append(f"{place}:{where} {problem.message}")
        return lines


class PluginError(DirectlaneError):
    """A plug-in cannot be loaded, or broke its contract.

    Attributes:
        plugin: Name of the entry point.
        distribution: The installed distribution it comes from, with its version; None if unknown.
    """

    def __init__(self, message: str, *, plugin: str, distribution: str | None = None) -> None:
        super().__init__(message)
        self.plugin = plugin
        self.distribution = distribution


class UnknownServiceError(DirectlaneError):
    """The configuration has no service of this name.

    Attributes:
        name: The name that was asked for.
        known: The names that the configuration has.
    """

    def __init__(self, name: str, known: Sequence[str], nearest: str | None = None) -> None:
        hint = f"did you mean {nearest!r}?" if nearest else f"take one of: {', '.join(known)}."
        super().__init__(f"the configuration has no service {name!r}\nNext: {hint}")
        self.name = name
        self.known: tuple[str, ...] = tuple(known)


class InvalidRequestError(DirectlaneError, ValueError):
    """The request cannot be sent as it is: a line break in a header field, say, or a body that is a dict.

    The text names the field, never its value.
    """


class ClosedError(DirectlaneError):
    """The client was used after it was closed."""


# --- discovery -------------------------------------------------------------------------------------------------------


class DiscoveryError(DirectlaneError):
    """One question to a control plane had no usable answer. The last good list stays in use."""


class DiscoveryRefused(DiscoveryError):
    """The control plane answered with a status that is not success.

    Attributes:
        status: The HTTP status.
    """

    def __init__(self, message: str, *, status: int) -> None:
        super().__init__(message)
        self.status = status


class DiscoveryThrottled(DiscoveryRefused):
    """The control plane says that it is asked too often.

    Attributes:
        retry_after: Seconds that it asks us to wait; None if it does not say.
    """

    def __init__(self, message: str, *, status: int = 429, retry_after: float | None = None) -> None:
        super().__init__(message, status=status)
        self.retry_after = retry_after


class DiscoveryUnreadable(DiscoveryError):
    """The answer does not parse, has the wrong shape, or names no valid endpoint."""


class CredentialError(DiscoveryError):
    """The credential is missing, or was not accepted.

    Attributes:
        permanent: Whether asking again with the same credential is pointless or harmful (a wrong password locks an
            account). A permanent failure is not repeated until the configuration changes.
    """

    def __init__(self, message: str, *, permanent: bool = False) -> None:
        super().__init__(message)
        self.permanent = permanent


# --- one attempt -----------------------------------------------------------------------------------------------------


class TransportError(DirectlaneError):
    """One attempt failed on the wire.

    Attributes:
        phase: How far it came.
        timed_out: Whether a time limit ended it.
    """

    def __init__(self, message: str, *, phase: Phase, timed_out: bool = False) -> None:
        super().__init__(message)
        self.phase = phase
        self.timed_out = timed_out


# --- one call --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AttemptRecord:
    """How one attempt of a call ended.

    Args:
        endpoint: Who was asked.
        phase: How far it came.
        elapsed: Seconds that it took.
        status: HTTP status; None if no answer began.
        error: What the transport said, or what is wrong with the answer; None if nothing is but its status.
        started: Seconds from the start of the call to the start of the attempt.
        is_hedge: Whether it ran beside another attempt, which was slow.
    """

    endpoint: Endpoint
    phase: Phase
    elapsed: float
    status: int | None = None
    error: str | None = None
    started: float = 0.0
    is_hedge: bool = False

    def __str__(self) -> str:
        end = f"failed in phase {self.phase.value}" if self.status is None else f"status {self.status}"
        reason = f": {self.error}" if self.error is not None else ""
        begun = f", begun at {self.started * 1000:.0f} ms" if self.started >= 0.0005 else ""
        hedge = " as a hedge" if self.is_hedge else ""
        return f"{self.endpoint.id} {end}{hedge}{reason} ({self.elapsed * 1000:.0f} ms{begun})"


class CallError(DirectlaneError):
    """A call ended badly.

    Attributes:
        service: Name of the service.
        attempts: Every attempt, in order.
        list_age: Seconds since the endpoint list in use was confirmed; None if there never was one.
        elapsed: Seconds from the start of the call to its end; None if not known.
        retries_left: How many extra attempts the service's retry budget still allowed at the end; None if not known.
        is_budget_spent: Whether the call would have gone on, and the retry budget did not let it.
        queued: Seconds for which it waited for slots; 0 if the service has none.
    """

    def __init__(
        self,
        message: str,
        *,
        service: str = "",
        attempts: Sequence[AttemptRecord] = (),
        list_age: float | None = None,
        elapsed: float | None = None,
        retries_left: int | None = None,
        is_budget_spent: bool = False,
        queued: float = 0.0,
    ) -> None:
        super().__init__(message)
        self.service = service
        self.attempts: tuple[AttemptRecord, ...] = tuple(attempts)
        self.list_age = list_age
        self.elapsed = elapsed
        self.retries_left = retries_left
        self.is_budget_spent = is_budget_spent
        self.queued = queued

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """Who was asked, each once, in the order of the first attempt."""
        return tuple({attempt.endpoint.id: attempt.endpoint for attempt in self.attempts}.values())

    @property
    def phase(self) -> Phase | None:
        """How far the last attempt came; None if there was no attempt."""
        return self.attempts[-1].phase if self.attempts else None

    @property
    def may_have_run(self) -> bool:
        """Whether some instance may have run the request."""
        return any(attempt.phase.may_have_run for attempt in self.attempts)


class NoEndpointError(CallError):
    """There was nobody to ask: no list, an empty list, or every endpoint drains."""


class AttemptsError(CallError):
    """Every attempt that was allowed failed on the wire."""


class DeadlineError(CallError):
    """The time for the call was over."""


class QueueFullError(CallError):
    """Every slot is in use, and so is every place in the queue. Nothing was sent, and the call did not wait."""
