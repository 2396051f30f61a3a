"""An emulated ModelArts on loopback: IAM, the endpoint list, the inference gateway, and instances.

    with ModelArtsEmulator(3) as cloud:
        cloud.route(), cloud.environment       # the settings of a route, and the secrets that they refer to
        cloud.revoke_tokens()                  # every token and temporary key that was issued ends now
        cloud.iam.ahead = 1000.0               # the cloud's clock goes wrong, or ours
        cloud.iam_delay = 2.0                  # IAM is slow; `break_iam` and `refuse_iam` for worse
        cloud.refuse_list(401, "APIG.0307")    # one of the documented refusals
        cloud.list_queries, cloud.logins       # who asked, and when
        cloud.credentials_at_instances()       # must stay empty on the direct path

What is emulated as documented: the login (201 and X-Subject-Token), the check of token or signature, the codes of
refusals, the limits per user and account with the vendor's body. What nobody has published and is chosen here: the
shape of the list (A to G, see `emulated_answers.shapes`), that the window of the limit slides, and that refused calls
count.
"""

from __future__ import annotations

import asyncio
import itertools
import re
import secrets
import tempfile
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from typing import Literal, TypeAlias

import httpx

from ...core.clock import SYSTEM_CLOCK, Clock
from ...core.emulation import (
    Fleet,
    Gate,
    LoopbackServer,
    ModelInstance,
    Rule,
    ServerReply,
    ServerRequest,
    json_reply,
)
from ...core.interfaces import ControlFault, Emulator, Instance
from .emulated_answers import SERVICE_ID, Shape, broken, entry, error, refusal, service_id, shapes, throttled
from .emulated_iam import EmulatedIam, EmulatedUser, Login
from .emulated_metadata import EmulatedMetadata, MetadataMode
from .emulated_settings import (
    ACCESS_KEY,
    AGENCY,
    DOMAIN,
    PROJECT_ID,
    REGION,
    USER,
    CredentialType,
    credential_settings,
    credential_variables,
    emulated_partner,
    emulated_user,
    profile_text,
)
from .signing import ALGORITHM

__all__ = [
    "ACCESS_KEY",
    "DOMAIN",
    "PROJECT_ID",
    "USER",
    "CredentialType",
    "ListQuery",
    "Login",
    "ModelArtsEmulator",
    "credential_watch",
]

Access: TypeAlias = Literal["direct", "gateway"]

_LIST_PATH = re.compile(r"/v1/(?P<project>[^/]+)/services/(?P<service>[^/]+)/predict/endpoints")
_GATEWAY_PATH = re.compile(r"/v1/infers/(?P<service>[^/?]+)(?P<rest>[^?]*)")
_NOT_FORWARDED = frozenset(
    {"host", "connection", "content-length", "transfer-encoding", "x-auth-token", "authorization"}
    | {"x-sdk-date", "x-security-token", "x-project-id"}
)


@dataclass(frozen=True, slots=True)
class ListQuery:
    """One question for the endpoint list. `user` is None if it had no valid credential."""

    at: float
    user: str | None
    status: int
    service: str = SERVICE_ID


@dataclass(frozen=True, slots=True)
class _Refusal:
    """What is answered instead; `left`: how many times, None for always."""

    status: int
    code: str
    left: int | None


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


class ModelArtsEmulator(Emulator):
    """One emulated cloud.

    Args:
        instances: How many each service starts with. Default 3.
        services: How many services there are; see `service_ids`. What takes no service is about the first. Default 1.
        access: What `route` says. Default `direct`.
        credential: What `route` says. Default `password`.
        shape: Shape of the endpoint list. Default A, the best guess. See `emulated_answers.shapes`.
        processes: Whether each instance is a process of its own, which SIGKILL really ends. Default: threads.
        users: How many IAM users the account has; each has a limit of its own. Default 1.
        token_life: Seconds that an issued token lives. Default 24 hours, as Huawei's.
        key_life: Seconds that a temporary key lives at most. Default 24 hours.
        metadata: How the metadata server behaves; see `EmulatedMetadata`. Default plain.
        user_limit: Calls and seconds for each user. Default 20 in 60 s.
        tenant_limit: Calls and seconds for the account. Default 2000 in 60 s.
        security_token: What a temporary access key must bring along. Default: the key is permanent.
        application: What an instance answers. Default: the echo.
        clock: Source of time for tokens, limits and records.
    """

    def __init__(
        self,
        instances: int = 3,
        *,
        services: int = 1,
        access: Access = "direct",
        credential: CredentialType = "password",
        shape: Shape = "A",
        processes: bool = False,
        users: int = 1,
        token_life: float = 86_400.0,
        key_life: float = 86_400.0,
        metadata: MetadataMode = "plain",
        user_limit: tuple[int, float] = (20, 60.0),
        tenant_limit: tuple[int, float] = (2000, 60.0),
        security_token: str | None = None,
        application: Rule | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self.access: Access = access
        self.credential: CredentialType = credential
        self.shape: Shape = shape
        self.ready_token = "emulated-ready-token"  # noqa: S105 - of an emulated user
        self.users: tuple[EmulatedUser, ...] = tuple(emulated_user(number, security_token) for number in range(users))
        self.partner: EmulatedUser = emulated_partner()
        everybody = (*self.users, self.partner)
        self.iam: EmulatedIam = EmulatedIam(
            everybody, (DOMAIN, AGENCY), clock, token_life=token_life, key_life=key_life
        )
        self.iam.issue_token(self.ready_token, self.users[0].name, PROJECT_ID, float("inf"))
        self.metadata: EmulatedMetadata = EmulatedMetadata(self.iam, AGENCY, metadata)
        self.iam_delay: float = 0.0
        """Seconds that IAM takes for an answer."""
        self.list_queries: list[ListQuery] = []
        self._first = instances
        self._clock = clock
        self._server = LoopbackServer(self._answer)
        self._watch = Path(tempfile.gettempdir()) / f"directlane-credentials-{secrets.token_hex(8)}"
        gate = Rule(f"{__name__}:credential_watch", {"file": str(self._watch)})
        self.service_ids: tuple[str, ...] = tuple(service_id(number) for number in range(services))
        self._fleets = {
            name: Fleet(gate=gate, application=application, processes=processes, prefix=prefix)
            for name, prefix in zip(self.service_ids, _prefixes(), strict=False)
        }
        self._weights: dict[str, int | None] = {}
        self._turns = itertools.count()
        self._profile = self._watch.with_suffix(".profile")
        self._fault = ControlFault.NONE
        self._list_refusal: _Refusal | None = None
        self._iam_refusal: _Refusal | None = None
        self._user_limiter, self._tenant_limiter = _Limiter(*user_limit), _Limiter(*tenant_limit)
        self._seen: list[str] = []

    # --- the contract -------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the control plane and the instances; returns when they answer."""
        try:
            self._profile.touch(mode=0o600)
            self._profile.write_text(profile_text(self.users[0]))
            self._server.start()
            for fleet in self._fleets.values():
                fleet.start(self._first)
        except BaseException:
            self.stop()
            raise
        self._weights = {instance.name: None for fleet in self._fleets.values() for instance in fleet.listed}

    def stop(self) -> None:
        """Stop everything; what was recorded can still be read. Harmless when called again."""
        for fleet in self._fleets.values():
            fleet.stop()
        self._server.stop()
        self._seen = self.credentials_at_instances()
        self._watch.unlink(missing_ok=True)
        self._profile.unlink(missing_ok=True)

    @property
    def instances(self) -> Sequence[ModelInstance]:
        """The instances that were started and not removed."""
        return self.instances_of(self.service_ids[0])

    def add_instance(self, *, weight: int | None = None, service: str | None = None) -> ModelInstance:
        """Start one more instance and list it. `weight` is shown by the shapes A to E."""
        instance = self._fleets[service or self.service_ids[0]].add()
        self._weights[instance.name] = weight
        return instance

    def remove_instance(self, instance: Instance) -> None:
        """Take an instance off the list; it goes on serving until it is killed or stopped."""
        fleets = self._fleets.values()
        owner = next((fleet for fleet in fleets if any(listed is instance for listed in fleet.listed)), None)
        (owner or self._fleets[self.service_ids[0]]).remove(instance)

    def break_control_plane(self, fault: ControlFault) -> None:
        """Let the endpoint list and IAM fail from now on; `ControlFault.NONE` mends both."""
        self._fault = self.iam.fault = fault

    def route(self) -> Mapping[str, object]:
        """The settings of a route to this cloud; see `settings`."""
        return self.settings(self.access, self.credential)

    @property
    def environment(self) -> Mapping[str, str]:
        """The environment variables that `route` refers to."""
        return self.environment_of(self.credential)

    # --- more ---------------------------------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        """Origin of the emulated ModelArts API, of IAM and of the gateway."""
        return self._server.url

    def instances_of(self, service: str) -> Sequence[ModelInstance]:
        """The instances of one service that were started and not removed."""
        return self._fleets[service].listed

    @property
    def gateway_url(self) -> str:
        """The `access_address` of the service."""
        return self._gateway_url(self.service_ids[0])

    def _gateway_url(self, service: str) -> str:
        return f"{self.url}/v1/infers/{service}"

    def settings(self, access: Access, credential: CredentialType, service: str | None = None) -> dict[str, object]:
        """The settings of a route with this access and this credential, to this service."""
        route: dict[str, object] = {"provider": "huawei_modelarts", "access": access}
        service = service or self.service_ids[0]
        route |= {"service_id": service, "project_id": PROJECT_ID, "region": REGION}
        route |= {"endpoint": self.url, "iam_endpoint": self.url}
        if access == "gateway":
            route["gateway_url"] = self._gateway_url(service)
        own = credential_settings(credential, self.users, self.partner, metadata=self.url, profile=self._profile)
        return route | {"credential": own}

    def environment_of(self, credential: CredentialType) -> dict[str, str]:
        """The environment variables that `settings` with this credential refers to.

        With `environment`, these are variables of Huawei's own SDKs, which are read from the process's environment.
        """
        return credential_variables(credential, self.users, self.partner, token=self.ready_token)

    @property
    def profile(self) -> Path:
        """The profile file of the first user; it is there while the cloud runs."""
        return self._profile

    @property
    def logins(self) -> list[Login]:
        """Every password login, in order."""
        return self.iam.logins

    def break_iam(self, fault: ControlFault) -> None:
        """Let only IAM fail from now on; `ControlFault.NONE` mends it."""
        self.iam.fault = fault

    def refuse_list(self, status: int, code: str, *, times: int | None = None) -> None:
        """Refuse the endpoint list with one of `emulated_answers.REFUSALS`, whatever the credential.

        Args:
            status: HTTP status.
            code: Such as `ModelArts.0202`.
            times: How often. Default: until `refuse_nothing`.
        """
        self._list_refusal = _Refusal(status, code, times)

    def refuse_iam(self, status: int, code: str, *, times: int | None = None) -> None:
        """Let IAM refuse everybody, as `refuse_list` does for the list."""
        self._iam_refusal = _Refusal(status, code, times)

    def refuse_nothing(self) -> None:
        """End `refuse_list` and `refuse_iam`."""
        self._list_refusal = self._iam_refusal = None

    def revoke_tokens(self) -> None:
        """End every token and temporary key that was issued, as a change of password does. The password stays valid."""
        self.iam.revoke()
        self.metadata.end_key()

    def queries_of(self, user: str, service: str | None = None) -> list[float]:
        """When this user asked for the endpoint list, of any service or of this one (seconds since 1970)."""
        return [query.at for query in self.list_queries if query.user == user and service in (None, query.service)]

    def secrets(self) -> set[str]:
        """Every secret of this cloud, issued ones included: what must be seen nowhere."""
        everybody = (*self.users, self.partner)
        return self.iam.secrets | {text for user in everybody for text in (user.password, user.secret_key)}

    def credentials_at_instances(self) -> list[str]:
        """One line for each request with a platform credential that reached an instance."""
        try:
            return self._watch.read_text().splitlines()
        except FileNotFoundError:
            return self._seen

    # --- in the server's thread ---------------------------------------------------------------------------------------

    async def _answer(self, request: ServerRequest) -> ServerReply:
        reply = await self._dispatch(request)
        stamp = format_datetime(datetime.fromtimestamp(self.iam.now(), UTC), usegmt=True)
        return replace(reply, headers=(*reply.headers, ("date", stamp)))

    async def _dispatch(self, request: ServerRequest) -> ServerReply:
        if request.path in ("/v3/auth/tokens", "/v3.0/OS-CREDENTIAL/securitytokens"):
            return await self._ask_iam(request)
        if found := _LIST_PATH.fullmatch(request.path):
            user = self.iam.user_of(request)
            reply = self._list(request, user, found["project"], found["service"])
            self.list_queries.append(ListQuery(self._clock.unix(), user, reply.status, found["service"]))
            return reply
        if found := _GATEWAY_PATH.match(request.target):
            return await self._gateway(request, found["service"], found["rest"])
        metadata = self.metadata.answer(request)
        if metadata is not None:
            return metadata
        return error(404, "APIG.0101", "The API does not exist or has not been published in the environment")

    async def _ask_iam(self, request: ServerRequest) -> ServerReply:
        if self.iam_delay:
            await asyncio.sleep(self.iam_delay)
        self._iam_refusal, reply = _refused(self._iam_refusal)
        if reply is not None:
            return reply
        is_login = request.path == "/v3/auth/tokens"
        return self.iam.login(request) if is_login else self.iam.security_tokens(request)

    # the endpoint list

    def _list(self, request: ServerRequest, user: str | None, project: str, service: str) -> ServerReply:
        if user is None:
            return self.iam.refusal(request, at_gateway=False)
        if not self.iam.has_project(request):
            return refusal(401, "ModelArts.0207")
        now = self._clock.monotonic()
        for name, limiter, key in (("user", self._user_limiter, user), ("domain", self._tenant_limiter, DOMAIN)):
            if not limiter.allows(key, now):
                return throttled(name, limiter.limit, limiter.window)
        self._list_refusal, refused = _refused(self._list_refusal)
        if refused is not None:
            return refused
        if project != PROJECT_ID:
            return error(403, "ModelArts.0210", "The project id in the URL differs from that of the token")
        if service not in self._fleets:
            return error(404, "ModelArts.3502", "The service does not exist")
        if request.method != "GET" or request.query.get("type") != "host_endpoints":
            return error(400, "ModelArts.3501", "Bad request")
        # One that was just added has its weight in the next moment, and is shown then.
        listed = [instance for instance in self.instances_of(service) if instance.name in self._weights]
        entries = [entry(instance, self._weights[instance.name]) for instance in listed]
        wrong = {"endpoints": [{"schema": 5, "ip": ["no"], "port": "many"}, "soon", 7]}
        failing = broken(self._fault, wrong_types=wrong, empty=shapes(self.shape, [], service))
        return failing if failing is not None else json_reply(shapes(self.shape, entries, service))

    # the gateway

    async def _gateway(self, request: ServerRequest, service: str, rest: str) -> ServerReply:
        if self.iam.user_of(request) is None:
            return self.iam.refusal(request, at_gateway=True)
        if service not in self._fleets:
            return error(500, "ModelArts.4503", "The service is not found")
        listed = self.instances_of(service)
        if not listed:
            return error(400, "ModelArts.4203", "The requested service is unavailable")
        instance = listed[next(self._turns) % len(listed)]
        query = request.target.partition("?")[2]
        url = f"{instance.url}{rest or '/'}{'?' + query if query else ''}"
        headers = [(name, value) for name, value in request.headers if name not in _NOT_FORWARDED]
        try:
            async with httpx.AsyncClient(verify=False, trust_env=False, timeout=40) as http:  # noqa: S501 - loopback
                reply = await http.request(request.method, url, headers=headers, content=request.content)
        except httpx.TimeoutException:
            return error(504, "ModelArts.4503", "The inference service did not answer in time")
        except httpx.ConnectError:
            return error(500, "ModelArts.4302", "Connection refused by the service instance")
        except httpx.TransportError:
            return error(502, "APIG.0201", "The connection to the backend broke")
        kept = [(name, value) for name, value in reply.headers.multi_items() if name not in _NOT_FORWARDED]
        return ServerReply(reply.status_code, (*kept, ("server", "ModelArts")), reply.content)


def credential_watch(settings: Mapping[str, object]) -> Gate:
    """A gate that lets every request in, as an instance does, and writes down each that brought a platform credential.

    Args:
        settings: `file`: where to write one line (the path of the request) for each.
    """
    path = str(settings["file"])

    def look(request: ServerRequest) -> ServerReply | None:
        if request.header("x-auth-token") is not None or ALGORITHM in (request.header("authorization") or ""):
            with Path(path).open("a") as file:
                file.write(f"{request.path}\n")
        return None

    return look


def _prefixes() -> Iterator[str]:
    """How instances are called: `modelarts-1` of the first service, `modelarts2-1` of the second."""
    yield "modelarts"
    yield from (f"modelarts{number}" for number in itertools.count(2))


def _refused(waiting: _Refusal | None) -> tuple[_Refusal | None, ServerReply | None]:
    """What is left of a refusal, and the answer that it makes now."""
    if waiting is None:
        return None, None
    left = waiting.left - 1 if waiting.left is not None else None
    return (None if left == 0 else replace(waiting, left=left)), refusal(waiting.status, waiting.code)
