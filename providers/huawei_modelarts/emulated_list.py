"""The emulated endpoint list: its limits, its refusals, and what it shows of the instances.

Runs in the server's thread.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ...core.clock import Clock
from ...core.emulation import Fleet, ServerReply, ServerRequest, json_reply
from ...core.interfaces import ControlFault
from .emulated_answers import SERVICE_ID, Refuser, Shape, broken, entry, error, refusal, shapes, throttled
from .emulated_iam import EmulatedIam
from .emulated_settings import DOMAIN, PROJECT_ID

__all__ = ["EmulatedList", "ListQuery"]

_PATH = re.compile(r"/v1/(?P<project>[^/]+)/services/(?P<service>[^/]+)/predict/endpoints")


@dataclass(frozen=True, slots=True)
class ListQuery:
    """One question for the endpoint list. `user` is None if it had no valid credential."""

    at: float
    user: str | None
    status: int
    service: str = SERVICE_ID


class _Limiter:
    """At most `limit` calls in any `window` seconds, for each key. A refused call counts too."""

    def __init__(self, limit: int, window: float) -> None:
        self.limit, self.window = limit, window
        self._calls: dict[str, deque[float]] = {}

    def allows(self, key: str, now: float) -> bool:
        calls = self._calls.setdefault(key, deque())
        while calls and calls[0] <= now - self.window:
            calls.popleft()
        calls.append(now)
        return len(calls) <= self.limit


class EmulatedList:
    """Answers `predict/endpoints?type=host_endpoints`.

    Args:
        iam: Knows who asks.
        fleets: The instances of each service.
        shape: Of the list.
        clock: Source of time for limits and records.
        user_limit: Calls and seconds for each user.
        tenant_limit: Calls and seconds for the account.
    """

    def __init__(
        self,
        iam: EmulatedIam,
        fleets: Mapping[str, Fleet],
        shape: Shape,
        clock: Clock,
        *,
        user_limit: tuple[int, float],
        tenant_limit: tuple[int, float],
    ) -> None:
        self.shape: Shape = shape
        self.fault = ControlFault.NONE
        self.refuser: Refuser = Refuser()
        self.queries: list[ListQuery] = []
        self.weights: dict[str, int | None] = {}
        """By the name of the instance. One that is not here is not shown."""
        self._iam = iam
        self._fleets = fleets
        self._clock = clock
        self._user_limiter, self._tenant_limiter = _Limiter(*user_limit), _Limiter(*tenant_limit)

    def answer(self, request: ServerRequest) -> ServerReply | None:
        """The answer to a question for the list; None if it is another one."""
        found = _PATH.fullmatch(request.path)
        if found is None:
            return None
        user = self._iam.user_of(request)
        reply = self._list(request, user, found["project"], found["service"])
        self.queries.append(ListQuery(self._clock.unix(), user, reply.status, found["service"]))
        return reply

    def _list(self, request: ServerRequest, user: str | None, project: str, service: str) -> ServerReply:
        if user is None:
            return self._iam.refusal(request, at_gateway=False)
        if not self._iam.has_project(request):
            return refusal(401, "ModelArts.0207")
        now = self._clock.monotonic()
        for name, limiter, key in (("user", self._user_limiter, user), ("domain", self._tenant_limiter, DOMAIN)):
            if not limiter.allows(key, now):
                return throttled(name, limiter.limit, limiter.window)
        refused = self.refuser.reply()
        if refused is not None:
            return refused
        if project != PROJECT_ID:
            return error(403, "ModelArts.0210", "The project id in the URL differs from that of the token")
        if service not in self._fleets:
            return error(404, "ModelArts.3502", "The service does not exist")
        if request.method != "GET" or request.query.get("type") != "host_endpoints":
            return error(400, "ModelArts.3501", "Bad request")
        return self._shown(service)

    def _shown(self, service: str) -> ServerReply:
        # One that was just added has its weight in the next moment, and is shown then.
        listed = [instance for instance in self._fleets[service].listed if instance.name in self.weights]
        entries: Sequence[dict[str, object]] = [entry(instance, self.weights[instance.name]) for instance in listed]
        wrong = {"endpoints": [{"schema": 5, "ip": ["no"], "port": "many"}, "soon", 7]}
        failing = broken(self.fault, wrong_types=wrong, empty=shapes(self.shape, [], service))
        return failing if failing is not None else json_reply(shapes(self.shape, list(entries), service))
