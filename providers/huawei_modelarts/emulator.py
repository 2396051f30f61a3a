"""An emulated ModelArts on loopback: IAM, the endpoint list, the inference gateway, and instances.

    with ModelArtsEmulator(3) as cloud:
        cloud.route(), cloud.environment       # the settings of a route, and the secrets that they refer to
        cloud.revoke_tokens()                  # every token that was issued ends now
        cloud.list_queries, cloud.logins       # who asked, and when
        cloud.credentials_at_instances()       # must stay empty on the direct path

What is emulated as documented: the login (201 and X-Subject-Token), the check of token or signature, the codes of
refusals, the limits per user and account with the vendor's body. What nobody has published and is chosen here: the
shape of the list (A to G, see `emulated_answers.shapes`), that the window of the limit slides, and that refused calls
count.
"""

from __future__ import annotations

import hmac
import itertools
import re
import secrets
import tempfile
import threading
from collections import deque
from collections.abc import Awaitable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
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
from .emulated_answers import SERVICE_ID, Shape, broken, date, entry, error, service_id, shapes, throttled
from .signing import ALGORITHM, canonical_request, query_pairs, signature

__all__ = ["ListQuery", "Login", "ModelArtsEmulator", "credential_watch"]

Access: TypeAlias = Literal["direct", "gateway"]
CredentialType: TypeAlias = Literal["password", "token", "aksk"]

REGION = "cn-emulated-1"
PROJECT_ID = "0123456789abcdef0123456789abcdef"
USER, DOMAIN = "emulated-user", "emulated-account"
ACCESS_KEY = "EMULATEDACCESSKEY"
_WRONG_PASSWORDS_ALLOWED = 5
_CLOCK_DIFFERENCE_ALLOWED = 15 * 60
_SIGNED = re.compile(
    ALGORITHM + r" Access=(?P<key>[^,]+), SignedHeaders=(?P<names>[^,]+), Signature=(?P<value>[0-9a-f]{64})"
)
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
class Login:
    """One login at IAM."""

    at: float
    user: str
    status: int


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
        token_life: Seconds that an issued token lives. Default 24 hours, as Huawei's.
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
        token_life: float = 86_400.0,
        user_limit: tuple[int, float] = (20, 60.0),
        tenant_limit: tuple[int, float] = (2000, 60.0),
        security_token: str | None = None,
        application: Rule | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self.access: Access = access
        self.credential: CredentialType = credential
        self.shape: Shape = shape
        self.token_life = token_life
        self.password = "emulated-password"  # noqa: S105 - of an emulated user
        self.ready_token = "emulated-ready-token"  # noqa: S105
        self.secret_key = "emulated-secret-key"  # noqa: S105
        self.security_token = security_token
        self.list_queries: list[ListQuery] = []
        self.logins: list[Login] = []
        self._first = instances
        self._clock = clock
        self._lock = threading.Lock()
        self._server = LoopbackServer(self._answer)
        self._watch = Path(tempfile.gettempdir()) / f"directlane-credentials-{secrets.token_hex(8)}"
        gate = Rule(f"{__name__}:credential_watch", {"file": str(self._watch)})
        self.service_ids = tuple(service_id(number) for number in range(services))
        self._fleets = {
            name: Fleet(gate=gate, application=application, processes=processes, prefix=prefix)
            for name, prefix in zip(self.service_ids, _prefixes(), strict=False)
        }
        self._weights: dict[str, int | None] = {}
        self._turns = itertools.count()
        self._tokens: dict[str, float] = {self.ready_token: float("inf")}
        self._ended: set[str] = set()
        self._wrong_passwords = 0
        self._fault = self._iam_fault = ControlFault.NONE
        self._user_limiter, self._tenant_limiter = _Limiter(*user_limit), _Limiter(*tenant_limit)
        self._seen: list[str] = []

    # --- the contract -------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the control plane and the instances; returns when they answer."""
        try:
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
        self._fault = self._iam_fault = fault

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
        reference = f"${{{_VARIABLES[credential]}}}"
        table: dict[str, object] = {"type": credential}
        if credential == "password":
            table |= {"user": USER, "password": reference, "domain": DOMAIN}
        elif credential == "token":
            table |= {"token": reference}
        else:
            table |= {"access_key": ACCESS_KEY, "secret_key": reference}
            if self.security_token is not None:
                table["security_token"] = f"${{{_SECURITY_TOKEN_VARIABLE}}}"
        route: dict[str, object] = {"provider": "huawei_modelarts", "access": access}
        service = service or self.service_ids[0]
        route |= {"service_id": service, "project_id": PROJECT_ID, "region": REGION}
        route |= {"endpoint": self.url, "iam_endpoint": self.url}
        if access == "gateway":
            route["gateway_url"] = self._gateway_url(service)
        return route | {"credential": table}

    def environment_of(self, credential: CredentialType) -> dict[str, str]:
        """The environment variables that `settings` with this credential refers to."""
        values = {"password": self.password, "token": self.ready_token, "aksk": self.secret_key}
        environment = {_VARIABLES[credential]: values[credential]}
        if credential == "aksk" and self.security_token is not None:
            environment[_SECURITY_TOKEN_VARIABLE] = self.security_token
        return environment

    def break_iam(self, fault: ControlFault) -> None:
        """Let only IAM fail from now on; `ControlFault.NONE` mends it."""
        self._iam_fault = fault

    def revoke_tokens(self) -> None:
        """End every token that was issued, as a change of password does. The password stays valid."""
        with self._lock:
            self._ended |= set(self._tokens)
            self._tokens.clear()

    def queries_of(self, user: str, service: str | None = None) -> list[float]:
        """When this user asked for the endpoint list, of any service or of this one (seconds since 1970)."""
        return [query.at for query in self.list_queries if query.user == user and service in (None, query.service)]

    def credentials_at_instances(self) -> list[str]:
        """One line for each request with a platform credential that reached an instance."""
        try:
            return self._watch.read_text().splitlines()
        except FileNotFoundError:
            return self._seen

    # --- in the server's thread ---------------------------------------------------------------------------------------

    def _answer(self, request: ServerRequest) -> ServerReply | Awaitable[ServerReply]:
        if request.path == "/v3/auth/tokens":
            reply, name = self._login(request)
            self.logins.append(Login(self._clock.unix(), name, reply.status))
            return reply
        if found := _LIST_PATH.fullmatch(request.path):
            user = self._user(request)
            reply = self._list(request, user, found["project"], found["service"])
            self.list_queries.append(ListQuery(self._clock.unix(), user, reply.status, found["service"]))
            return reply
        if found := _GATEWAY_PATH.match(request.target):
            return self._gateway(request, found["service"], found["rest"])
        return error(404, "APIG.0101", "The API does not exist or has not been published in the environment")

    # IAM

    def _login(self, request: ServerRequest) -> tuple[ServerReply, str]:
        who = _who(request)
        failing = broken(self._iam_fault, wrong_types={"token": 5}, empty={}, status=201)
        if failing is not None:
            return failing, who[0]
        if request.method != "POST" or who[0] == "?":
            return json_reply({"error": {"code": 400, "message": "Bad request", "title": "Bad Request"}}, 400), who[0]
        with self._lock:
            if self._wrong_passwords >= _WRONG_PASSWORDS_ALLOWED:
                return error(401, "IAM.0061", "Your account is locked due to too many failed logins"), who[0]
            if who != (USER, DOMAIN, self.password):
                self._wrong_passwords += 1
                message = "The username or password is wrong."
                return json_reply({"error": {"code": 401, "message": message, "title": "Unauthorized"}}, 401), who[0]
            self._wrong_passwords = 0
            now = self._clock.unix()
            token = f"MII{secrets.token_urlsafe(60)}"
            self._tokens[token] = now + self.token_life
        body = {"token": {"expires_at": date(now + self.token_life), "issued_at": date(now)}}
        return json_reply(body, 201, (("X-Subject-Token", token),)), who[0]

    # the endpoint list

    def _list(self, request: ServerRequest, user: str | None, project: str, service: str) -> ServerReply:
        if user is None:
            return self._refusal(request, at_gateway=False)
        now = self._clock.monotonic()
        for name, limiter, key in (("user", self._user_limiter, user), ("domain", self._tenant_limiter, DOMAIN)):
            if not limiter.allows(key, now):
                return throttled(name, limiter.limit, limiter.window)
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
        if self._user(request) is None:
            return self._refusal(request, at_gateway=True)
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

    # credentials

    def _user(self, request: ServerRequest) -> str | None:
        token = request.header("x-auth-token")
        if token is not None:
            with self._lock:
                return USER if self._tokens.get(token, 0.0) > self._clock.unix() else None
        return f"key:{ACCESS_KEY}" if self._is_signed(request) else None

    def _is_signed(self, request: ServerRequest) -> bool:
        found = _SIGNED.fullmatch(request.header("authorization") or "")
        sent_date = request.header("x-sdk-date") or ""
        if found is None or found["key"] != ACCESS_KEY or request.header("x-security-token") != self.security_token:
            return False
        try:
            sent = datetime.strptime(sent_date, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
        except ValueError:
            return False
        fields = {name: request.header(name) for name in found["names"].split(";")}
        needed = {"host", "x-sdk-date"} | ({"x-security-token"} if self.security_token is not None else set[str]())
        if abs(sent - self._clock.unix()) > _CLOCK_DIFFERENCE_ALLOWED or not needed <= fields.keys():
            return False
        present = {name: value for name, value in fields.items() if value is not None}
        pairs = query_pairs(request.target.partition("?")[2])
        canonical = canonical_request(request.method, request.path, pairs, present, request.content)
        return hmac.compare_digest(signature(canonical, sent_date, self.secret_key), found["value"])

    def _refusal(self, request: ServerRequest, *, at_gateway: bool) -> ServerReply:
        token = request.header("x-auth-token")
        if token is None and request.header("authorization") is not None:
            return error(401, "APIG.0301", "Incorrect IAM authentication information: verify aksk signature fail")
        if token in self._ended:
            return error(401, "APIG.0307", "The token must be updated")
        if at_gateway:
            return error(401, "APIG.0301", "Incorrect IAM authentication information: decrypt token fail")
        if token is None:
            return error(401, "ModelArts.0201", "The token is missing")
        if token in self._tokens:
            return error(401, "ModelArts.0202", "The token has expired")
        return error(401, "ModelArts.0203", "The token cannot be parsed")


_SECURITY_TOKEN_VARIABLE = "EMULATED_MODELARTS_SECURITY_TOKEN"  # noqa: S105 - a name
_VARIABLES: Mapping[CredentialType, str] = {
    "password": "EMULATED_MODELARTS_PASSWORD",
    "token": "EMULATED_MODELARTS_TOKEN",
    "aksk": "EMULATED_MODELARTS_SECRET_KEY",
}


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


def _who(request: ServerRequest) -> tuple[str, str, str]:
    """User, account and password of a login; question marks if it is not one for a project."""
    try:
        auth = request.json()["auth"]
        user = auth["identity"]["password"]["user"]
        project = auth["scope"]["project"]
        if auth["identity"]["methods"] == ["password"] and (project.get("id") or project.get("name")):
            return str(user["name"]), str(user["domain"]["name"]), str(user["password"])
    except (ValueError, KeyError, TypeError, AttributeError):
        pass
    return "?", "?", "?"
