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
from urllib.parse import quote

from ...core.endpoint import Endpoint, Snapshot
from ...core.errors import (
    ConfigError,
    ConfigProblem,
    CredentialError,
    DiscoveryError,
    DiscoveryRefused,
    DiscoveryThrottled,
    DiscoveryUnreadable,
    headline,
)
from ...core.interfaces import AddressSource, Conversation, EmptyAnswer, PollContext, Query, RateBudget
from ...core.message import Reply
from ...core.retry_after import retry_after
from .auth import Auth, ask
from .error_body import describe, limit_window, read_error
from .grants import Grant, Steps
from .host_endpoints import read_host_endpoints
from .platform_clock import PlatformClock
from .rotation import Rotation
from .verdicts import is_refused_key

__all__ = ["GatewayDiscovery", "HostEndpointsDiscovery", "ListApi", "Parser", "load_parser"]

Parser = Callable[[bytes], Snapshot]
"""Reads the body of the endpoint list. Raises `DiscoveryUnreadable` if it cannot."""

_PER_USER = (20, 60.0)
_PER_TENANT = (2000, 60.0)
"""Number and seconds, as the page on the VPC high-speed channel says."""


@dataclass(frozen=True, slots=True)
class ListApi:
    """Where the endpoint list is, and whose limits count there.

    Args:
        origin: Of the ModelArts API.
        service_id: Which service.
        project_id: Which project; None: the one that the credential's source names.
        limits: Whose limits they are, such as `modelarts/cn-north-4`: a cloud with an endpoint of its own has limits
            of its own.
        account: Name of the account, if the credential tells it.
    """

    origin: str
    service_id: str
    project_id: str | None
    limits: str
    account: str | None

    def question(self, project_id: str, budgets: tuple[RateBudget, ...]) -> Query:
        """The question, without its credential."""
        path = f"/v1/{quote(project_id, safe='')}/services/{quote(self.service_id, safe='')}/predict/endpoints"
        url = f"{self.origin}{path}?type=host_endpoints"
        return Query(url, headers=(("Accept", "application/json"),), budgets=budgets)

    def user_budget(self, user: str) -> RateBudget:
        """Huawei's limit for one IAM user."""
        return RateBudget(f"{self.limits}/user/{user}", *_PER_USER)

    def tenant_budget(self, project_id: str | None) -> RateBudget:
        """Huawei's limit for the account."""
        return RateBudget(f"{self.limits}/tenant/{self.account or f'project-{project_id}'}", *_PER_TENANT)


@dataclass(frozen=True)
class HostEndpointsDiscovery:
    """Asks `predict/endpoints?type=host_endpoints`.

    Args:
        api: Where to ask.
        users: With which credentials.
        clock: Learns from the answers, and dates the signatures.
        parser: Reads the answer.
        parser_name: As configured; None for the built-in one.
    """

    api: ListApi
    users: Rotation
    clock: PlatformClock
    parser: Parser = field(default=read_host_endpoints, repr=False)
    parser_name: str | None = None

    addresses = AddressSource.LEARNED
    empty_answer = EmptyAnswer.KEEP

    @property
    def credential(self) -> Hashable | None:
        """Equal for equal credentials that the platform may refuse for good; None if there is none such."""
        return self.users.credential

    @property
    def identity(self) -> Hashable:
        return ("huawei_modelarts", self.api, self.users.identity, self.parser_name)

    def poll(self, context: PollContext) -> Conversation:
        """One question with one user; a second one if his token or key has ended before its time.

        Of several users, the next one is asked with if one is refused or throttled.
        """
        now = context.unix_time
        failed: DiscoveryError | None = None
        for user in self.users.next_users(now):
            try:
                snapshot = yield from self._list(user, context)
            except DiscoveryError as error:
                if not self.users.leave_out(user, error, now):
                    raise
                failed = error
            else:
                self.users.took(user)
                return replace(snapshot, warnings=(*snapshot.warnings, *self.users.warnings()))
        if failed is None or self.users.is_refused_for_good():
            raise self.users.nobody_left()
        if isinstance(failed, CredentialError):
            # Not for good: other users are left, or will be.
            raise CredentialError(f"{headline(failed)}. Next: see to this user; others are tried meanwhile")
        raise failed

    def _list(self, user: Auth, context: PollContext) -> Steps[Snapshot]:
        def question(grant: Grant) -> tuple[Query, str]:
            project_id = self.api.project_id or grant.project_id
            if project_id is None:
                raise CredentialError(
                    f"no project is known: the route has no project_id, and {user.label} names none. "
                    "Next: set project_id in the route"
                )
            budgets = (self.api.user_budget(user.user), self.api.tenant_budget(project_id))
            return self.api.question(project_id, budgets), project_id

        reply = yield from ask(user, question, context.unix_time, clock=self.clock, renew=context.reauthenticate)
        if reply.status != 200:
            raise self._refused(user, reply)
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

    def _refused(self, user: Auth, reply: Reply) -> DiscoveryError:
        status, error = reply.status, read_error(reply.content)
        text = f"ModelArts refused to list the endpoints to {user.label} ({describe(reply, user.secrets())})"
        if status == 429:
            told = retry_after(reply.headers)
            return DiscoveryThrottled(
                f"{text}. The limit is 20 questions a minute for an IAM user, wherever it is used. "
                "Next: raise `discovery.interval`, or give each process a user of its own",
                retry_after=limit_window(error.message) if told is None else told,
            )
        known = _NEXT.get((status, error.code))
        if known is not None:
            return DiscoveryRefused(f"{text}. Next: {known}", status=status)
        if status == 401 or is_refused_key(status, reply.content):
            return CredentialError(f"{text}.{self.clock.sentence()} Next: {user.advice}")
        if status == 403:
            return DiscoveryRefused(f"{text}. Next: check project_id and the user's permissions", status=status)
        if status == 404:
            return DiscoveryRefused(f"{text}. Next: check service_id, project_id and region", status=status)
        return DiscoveryRefused(text, status=status)


_PAY = "the account is in arrears or suspended: pay, or ask Huawei; then directlane goes on by itself"
_NEXT = {
    (403, "ModelArts.4116"): _PAY,
    (403, "ModelArts.4118"): _PAY,
    (401, "ModelArts.6201"): _PAY,
    (401, "ModelArts.6203"): _PAY,
}
"""What to do about an answer that speaks of neither credential nor permission."""


@dataclass(frozen=True, slots=True)
class GatewayDiscovery:
    """Knows the one address of the gateway. The credential of the calls is kept by the route's upkeep.

    Args:
        endpoint: The gateway.
    """

    endpoint: Endpoint

    addresses = AddressSource.CONFIGURED
    empty_answer = EmptyAnswer.KEEP
    credential = None

    @property
    def identity(self) -> Hashable:
        return ("huawei_modelarts gateway", self.endpoint.id)

    def poll(self, context: PollContext) -> Conversation:
        """No question at all."""
        del context
        yield from ()
        return Snapshot((self.endpoint,), ask_again_in=math.inf)


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
