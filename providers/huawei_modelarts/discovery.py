"""Where the endpoints come from: the list of host endpoints (direct), or the one gateway address (gateway).

Conversations without I/O. The list is asked for with a platform credential; the credential stays between us, IAM and
the management API.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field, replace
from typing import cast

from ...core.endpoint import Endpoint, Snapshot
from ...core.errors import (
    ConfigError,
    ConfigProblem,
    CredentialError,
    DiscoveryError,
    DiscoveryRefused,
    DiscoveryThrottled,
    DiscoveryUnreadable,
)
from ...core.interfaces import AddressSource, Conversation, EmptyAnswer, PollContext, Query, RateBudget
from ...core.message import Reply
from ...core.retry_after import retry_after
from .auth import Auth, PasswordAuth
from .error_body import describe, limit_window, read_error
from .host_endpoints import read_host_endpoints
from .verdicts import is_stale_token

__all__ = ["GatewayDiscovery", "HostEndpointsDiscovery", "Parser", "load_parser"]

Parser = Callable[[bytes], Snapshot]
"""Reads the body of the endpoint list. Raises `DiscoveryUnreadable` if it cannot."""

_LOOK_AGAIN = 300.0
"""The token is looked at this often (seconds): it costs no request, and no jitter can carry us past its end."""


@dataclass(frozen=True)
class HostEndpointsDiscovery:
    """Asks `predict/endpoints?type=host_endpoints`.

    Args:
        url: Where to ask.
        auth: With which credential.
        budgets: What each question spends.
        parser: Reads the answer.
        parser_name: As configured; None for the built-in one.
    """

    url: str
    auth: Auth
    budgets: tuple[RateBudget, ...]
    parser: Parser = field(default=read_host_endpoints, repr=False)
    parser_name: str | None = None

    addresses = AddressSource.LEARNED
    empty_answer = EmptyAnswer.KEEP

    @property
    def credential(self) -> Hashable | None:
        """Equal for equal credentials that the platform may refuse for good; None if there is none such."""
        return self.auth.credential

    @property
    def identity(self) -> Hashable:
        return ("huawei_modelarts", self.url, self.auth.identity, self.parser_name)

    def poll(self, context: PollContext) -> Conversation:
        """One question; a second one if the token has ended before its time."""
        question = Query(self.url, headers=(("Accept", "application/json"),), budgets=self.budgets)
        query = yield from self.auth.authorize(question, context.unix_time, renew=context.reauthenticate)
        reply = yield query
        is_renewed = context.reauthenticate
        if self.auth.renews and not is_renewed and is_stale_token(reply.status, reply.content):
            query = yield from self.auth.authorize(question, context.unix_time, renew=True)
            reply = yield query
        if reply.status != 200:
            raise self._refused(reply)
        return self._read(reply.content)

    def _read(self, body: bytes) -> Snapshot:
        try:
            snapshot = cast("object", self.parser(body))
        except DiscoveryError:
            raise
        except Exception as error:  # a user's parser may raise anything; its text may hold the body
            raise DiscoveryUnreadable(f"the parser {self.parser_name} failed with {type(error).__name__}") from error
        if not isinstance(snapshot, Snapshot):
            raise DiscoveryUnreadable(f"the parser {self.parser_name} returned no Snapshot")
        return replace(snapshot, raw=body)

    def _refused(self, reply: Reply) -> DiscoveryError:
        status, error = reply.status, read_error(reply.content)
        text = f"ModelArts refused to list the endpoints ({describe(reply, self.auth.secrets())})"
        if status == 429:
            told = retry_after(reply.headers)
            return DiscoveryThrottled(
                f"{text}. The limit is 20 questions a minute for an IAM user, wherever it is used. "
                "Next: raise `discovery.interval`, or give each process a user of its own",
                retry_after=limit_window(error.message) if told is None else told,
            )
        if status == 401 or (status == 403 and error.code == "ModelArts.0206"):
            return CredentialError(f"{text}. Next: {_ABOUT_CREDENTIALS.get(type(self.auth).__name__, '')}")
        if status == 403:
            return DiscoveryRefused(f"{text}. Next: check project_id and the user's permissions", status=status)
        if status == 404:
            return DiscoveryRefused(f"{text}. Next: check service_id, project_id and region", status=status)
        return DiscoveryRefused(text, status=status)


_ABOUT_CREDENTIALS = {
    "TokenAuth": "the token has ended or is of another project or region: put a new one, or use `password` or `aksk`",
    "PasswordAuth": "check project_id and region: a new token is refused too",
    "AkSkAuth": "check the key, project_id and the clock of this machine (15 minutes are allowed)",
}


@dataclass(frozen=True)
class GatewayDiscovery:
    """Knows the one address of the gateway; with a password login, it also keeps the token fresh.

    Args:
        endpoint: The gateway.
        auth: With which credential calls are made.
    """

    endpoint: Endpoint
    auth: Auth

    addresses = AddressSource.CONFIGURED
    empty_answer = EmptyAnswer.KEEP

    @property
    def credential(self) -> Hashable | None:
        """Equal for equal credentials that the platform may refuse for good; None if there is none such."""
        return self.auth.credential

    @property
    def identity(self) -> Hashable:
        # The wire reads the token from the very object that this discovery keeps fresh: it cannot be shared.
        own = self.auth if isinstance(self.auth, PasswordAuth) else self.auth.identity
        return ("huawei_modelarts gateway", self.endpoint.id, own)

    def poll(self, context: PollContext) -> Conversation:
        """A login, if one is due; otherwise no question at all."""
        if not isinstance(self.auth, PasswordAuth):
            return Snapshot((self.endpoint,), ask_again_in=math.inf)
        yield from self.auth.fresh_token(context.unix_time, renew=context.reauthenticate)
        again = min(self.auth.seconds_to_renewal(context.unix_time), _LOOK_AGAIN)
        return Snapshot((self.endpoint,), ask_again_in=again)


def load_parser(name: str) -> Parser:
    """The function that `parser = "module:function"` names.

    Raises:
        ConfigError: There is no such module or function; the text says which.
    """
    module_name, _, function_name = name.partition(":")
    try:
        function: object = getattr(importlib.import_module(module_name), function_name)
    except Exception as error:  # a stranger's module may raise anything when it is imported
        reason = f"the parser {name!r} cannot be loaded: {type(error).__name__}: {error}"
        raise ConfigError("huawei_modelarts", [ConfigProblem(reason, "parser")]) from error
    if not callable(function):
        reason = f"the parser {name!r} is not a function"
        raise ConfigError("huawei_modelarts", [ConfigProblem(reason, "parser")])
    return cast("Parser", function)
