"""The emulated IAM: users, logins, agencies, tokens and keys; and who a request comes from.

As documented: the password login (201 and `X-Subject-Token`), the lock after wrong passwords, the temporary key of an
agency, the check of a signature and of its date. Chosen here: five wrong passwords lock a user.
"""

from __future__ import annotations

import hmac
import re
import secrets
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from ...core.clock import Clock
from ...core.emulation import ServerReply, ServerRequest, json_reply
from ...core.interfaces import ControlFault
from .emulated_answers import broken, date, error
from .signing import ALGORITHM, canonical_request, query_pairs, signature

__all__ = ["EmulatedIam", "EmulatedUser", "IssuedKey", "Login"]

_WRONG_PASSWORDS_ALLOWED = 5
_CLOCK_DIFFERENCE_ALLOWED = 15 * 60
_SIGNED = re.compile(
    ALGORITHM + r" Access=(?P<key>[^,]+), SignedHeaders=(?P<names>[^,]+), Signature=(?P<value>[0-9a-f]{64})"
)


@dataclass(slots=True)
class EmulatedUser:
    """One IAM user. Change what it has while the cloud runs, and the old is no longer good.

    Args:
        name: Its name.
        domain: Its account.
        password: For logins.
        access_key: Its key's public half.
        secret_key: Its key's secret half.
        security_token: What its key must bring along, as a temporary one; None: the key is permanent.
    """

    name: str
    domain: str
    password: str
    access_key: str
    secret_key: str
    security_token: str | None = None


@dataclass(frozen=True, slots=True)
class Login:
    """One login at IAM."""

    at: float
    user: str
    status: int


@dataclass(frozen=True, slots=True)
class IssuedKey:
    """One request for a temporary key; `who` took the agency on, or asked the metadata server."""

    at: float
    who: str | None
    status: int


@dataclass(frozen=True, slots=True)
class _Token:
    user: str
    ends: float
    project_id: str | None


@dataclass(frozen=True, slots=True)
class _TemporaryKey:
    user: str
    secret_key: str
    security_token: str
    ends: float


class EmulatedIam:
    """Answers what IAM answers, and knows who a request comes from. Runs in the server's thread.

    Args:
        users: All users, of whatever account.
        agency: Account and name of the one agency.
        clock: Source of time.
        token_life: Seconds that a token lives.
        key_life: Seconds that a temporary key of the metadata server lives.
    """

    def __init__(
        self,
        users: Sequence[EmulatedUser],
        agency: tuple[str, str],
        clock: Clock,
        *,
        token_life: float,
        key_life: float,
    ) -> None:
        self.users: tuple[EmulatedUser, ...] = tuple(users)
        self.agency = agency
        self.token_life = token_life
        self.key_life = key_life
        self.ahead: float = 0.0
        """Seconds by which this cloud's clock is ahead of `clock`."""
        self.fault = ControlFault.NONE
        self.secrets: set[str] = set()
        """Every secret that was ever issued here, for a search."""
        self.logins: list[Login] = []
        self.issued: list[IssuedKey] = []
        self._clock = clock
        self._lock = threading.Lock()
        self._tokens: dict[str, _Token] = {}
        self._keys: dict[str, _TemporaryKey] = {}
        self._ended: set[str] = set()
        self._wrong_passwords: dict[str, int] = {}

    def now(self) -> float:
        """This cloud's time."""
        return self._clock.unix() + self.ahead

    # --- what is issued -----------------------------------------------------------------------------------------------

    def issue_token(self, token: str, user: str, project_id: str | None, life: float) -> None:
        """Let a token be good from now on."""
        with self._lock:
            self.secrets.add(token)
            self._tokens[token] = _Token(user, self.now() + life, project_id)

    def issue_key(self, user: str, life: float) -> dict[str, str]:
        """A temporary key, as answers write it."""
        access = f"EMULATED{secrets.token_hex(8).upper()}"
        secret, token = f"emulated-secret-{secrets.token_hex(12)}", f"emulated-token-{secrets.token_hex(24)}"
        ends = self.now() + life
        with self._lock:
            self.secrets |= {secret, token}
            self._keys[access] = _TemporaryKey(user, secret, token, ends)
        return {"access": access, "secret": secret, "securitytoken": token, "expires_at": date(ends)}

    def revoke(self) -> None:
        """End every token and every temporary key that was issued."""
        with self._lock:
            self._ended |= set(self._tokens) | set(self._keys)
            self._tokens.clear()
            self._keys.clear()

    # --- answers ------------------------------------------------------------------------------------------------------

    def login(self, request: ServerRequest) -> ServerReply:
        """`POST /v3/auth/tokens`."""
        name, domain, password, project = _who(request)
        reply = self._login(request, name, domain, password, project)
        self.logins.append(Login(self._clock.unix(), name, reply.status))
        return reply

    def _login(self, request: ServerRequest, name: str, domain: str, password: str, project: str | None) -> ServerReply:
        failing = broken(self.fault, wrong_types={"token": 5}, empty={}, status=201)
        if failing is not None:
            return failing
        if request.method != "POST" or name == "?":
            return json_reply({"error": {"code": 400, "message": "Bad request", "title": "Bad Request"}}, 400)
        with self._lock:
            if self._wrong_passwords.get(name, 0) >= _WRONG_PASSWORDS_ALLOWED:
                return error(401, "IAM.0061", "Your account is locked due to too many failed logins")
            if not any((user.name, user.domain, user.password) == (name, domain, password) for user in self.users):
                self._wrong_passwords[name] = self._wrong_passwords.get(name, 0) + 1
                message = "The username or password is wrong."
                return json_reply({"error": {"code": 401, "message": message, "title": "Unauthorized"}}, 401)
            self._wrong_passwords[name] = 0
        token = f"MII{secrets.token_urlsafe(60)}"
        self.issue_token(token, name, project, self.token_life)
        body = {"token": {"expires_at": date(self.now() + self.token_life), "issued_at": date(self.now())}}
        return json_reply(body, 201, (("X-Subject-Token", token),))

    def security_tokens(self, request: ServerRequest) -> ServerReply:
        """`POST /v3.0/OS-CREDENTIAL/securitytokens`, for the agency, or for who brings a token in the body."""
        user = self.user_of(request)
        reply = self._security_tokens(request, user)
        self.issued.append(IssuedKey(self._clock.unix(), user, reply.status))
        return reply

    def _security_tokens(self, request: ServerRequest, user: str | None) -> ServerReply:
        failing = broken(self.fault, wrong_types={"credential": 5}, empty={}, status=201)
        if failing is not None:
            return failing
        by_token = self._key_for_token(request)
        if by_token is not None:
            return by_token
        if user is None:
            return self.refusal(request, at_gateway=True)
        try:
            role = request.json()["auth"]["identity"]["assume_role"]
            asked = (str(role["domain_name"]), str(role["agency_name"]))
            seconds = int(role.get("duration_seconds", 900))
        except (ValueError, KeyError, TypeError, AttributeError):
            return error(400, "IAM.0002", "The request is invalid")
        if not 900 <= seconds <= 86_400:
            return error(400, "IAM.0007", "duration_seconds must be 900 to 86400")
        if asked != self.agency:
            return error(404, "IAM.0004", "Could not find the agency")
        if user not in {each.name for each in self.users if each.domain != self.agency[0]}:
            return error(403, "IAM.0003", "Policy does not allow agency:assume")
        life = min(seconds, self.key_life)
        return json_reply({"credential": self.issue_key(f"agency:{asked[1]}", life)}, 201)

    def _key_for_token(self, request: ServerRequest) -> ServerReply | None:
        """The key for a token in the body; None if the request speaks of none."""
        try:
            token = request.json()["auth"]["identity"]["token"]
            seconds = int(token.get("duration_seconds", 900))
            known = self._tokens.get(str(token["id"]))
        except (ValueError, KeyError, TypeError, AttributeError):
            return None
        if known is None or known.ends <= self.now():
            return error(401, "IAM.0001", "The token is invalid")
        if not 900 <= seconds <= 86_400:
            return error(400, "IAM.0007", "duration_seconds must be 900 to 86400")
        return json_reply({"credential": self.issue_key(known.user, min(seconds, self.key_life))}, 201)

    # --- who asks -----------------------------------------------------------------------------------------------------

    def user_of(self, request: ServerRequest) -> str | None:
        """Who sent a request; None if it has no valid credential."""
        token = request.header("x-auth-token")
        if token is None:
            return self._signer(request)
        with self._lock:
            known = self._tokens.get(token)
        return known.user if known is not None and known.ends > self.now() else None

    def has_project(self, request: ServerRequest) -> bool:
        """Whether the credential is one for a project; a signature always is."""
        with self._lock:
            known = self._tokens.get(request.header("x-auth-token") or "")
        return known is None or known.project_id is not None

    def refusal(self, request: ServerRequest, *, at_gateway: bool) -> ServerReply:
        """The answer to a request without a valid credential."""
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

    def _signer(self, request: ServerRequest) -> str | None:
        found = _SIGNED.fullmatch(request.header("authorization") or "")
        known = self._key(found["key"]) if found is not None else None
        if found is None or known is None:
            return None
        user, secret_key, security_token = known
        sent_date = request.header("x-sdk-date") or ""
        try:
            sent = datetime.strptime(sent_date, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
        except ValueError:
            return None
        fields = {name: request.header(name) for name in found["names"].split(";")}
        needed = {"host", "x-sdk-date"} | ({"x-security-token"} if security_token is not None else set[str]())
        if abs(sent - self.now()) > _CLOCK_DIFFERENCE_ALLOWED or not needed <= fields.keys():
            return None
        if request.header("x-security-token") != security_token:
            return None
        present = {name: value for name, value in fields.items() if value is not None}
        pairs = query_pairs(request.target.partition("?")[2])
        canonical = canonical_request(request.method, request.path, pairs, present, request.content)
        return user if hmac.compare_digest(signature(canonical, sent_date, secret_key), found["value"]) else None

    def _key(self, access_key: str) -> tuple[str, str, str | None] | None:
        """User, secret half and security token of a key that is good now."""
        for user in self.users:
            if user.access_key == access_key:
                return user.name, user.secret_key, user.security_token
        with self._lock:
            key = self._keys.get(access_key)
        if key is None or key.ends <= self.now():
            return None
        return key.user, key.secret_key, key.security_token


def _who(request: ServerRequest) -> tuple[str, str, str, str | None]:
    """User, account and password of a login, and its project (None: for the account); question marks if it is none."""
    try:
        auth = request.json()["auth"]
        user = auth["identity"]["password"]["user"]
        scope = auth["scope"]
        project = scope.get("project", {}).get("id") or scope.get("project", {}).get("name")
        if auth["identity"]["methods"] == ["password"] and (project or scope.get("domain")):
            return str(user["name"]), str(user["domain"]["name"]), str(user["password"]), project
    except (ValueError, KeyError, TypeError, AttributeError):
        pass
    return "?", "?", "?", None
