"""The OpenAPI of PAI-EAS on loopback, as far as we ask it: `DescribeService` and `ListServiceInstances`.

It checks the signature of each request as strictly as the vendor documents it: date within 15 minutes, each number used
once, every `x-acs-` field signed. Codes and statuses of its errors are the vendor's own words, where they are known.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from urllib.parse import unquote

from ...core.emulation import ModelInstance, ServerReply, ServerRequest, json_reply
from .control_plane import VERSION
from .signing import ALGORITHM, canonical_query, signature

__all__ = ["API_PATH", "EmulatedControlPlane"]

API_PATH = "/api/v2/services/"
_AUTHORIZATION = re.compile(rf"{ALGORITHM} Credential=([^,]+),SignedHeaders=([^,]+),Signature=([0-9a-f]+)")
_TOLERANCE = 900.0


class EmulatedControlPlane:
    """Answers for one service. Runs in the thread of the server that asks it.

    Args:
        service: Name of the service.
        token: Tells the token of the service; None: authentication is off.
        instances: Tells the instances.
    """

    cluster = "cn-emulated"
    access_key_id = "LTAI-emulated"
    access_key_secret = "emulated-access-key-secret"  # noqa: S105  # opens nothing but the emulator

    def __init__(
        self, service: str, token: Callable[[], str | None], instances: Callable[[], Sequence[ModelInstance]]
    ) -> None:
        self.service = service
        self.security_token: str | None = None
        """Demanded, if it is set. May be changed at any time."""
        self.queries: Counter[str] = Counter()
        """How often each operation was asked, the refused ones too."""
        self.answers: Counter[int] = Counter()
        """How often it answered with each status."""
        self.broken: Callable[[], ServerReply] | None = None
        """Answers instead of it. May be changed at any time."""
        self.page_size = 100
        """Entries of a page at most, whatever was asked for."""
        self.facts: dict[str, dict[str, object]] = {}
        """What to tell differently of an instance, by its name: `{"Status": "Pending"}`, say."""
        self.token = token
        """Tells the token of the service. May be changed at any time."""
        self._instances = instances
        self._used: set[str] = set()
        self._lock = threading.Lock()

    def answer(self, request: ServerRequest) -> ServerReply:
        """Answer one request."""
        with self._lock:
            self.queries[request.header("x-acs-action") or "?"] += 1
            reply = self.broken() if self.broken is not None else self._refusal(request) or self._found(request)
            self.answers[reply.status] += 1
            return reply

    # --- who asks -----------------------------------------------------------------------------------------------------

    def _refusal(self, request: ServerRequest) -> ServerReply | None:
        told = _AUTHORIZATION.fullmatch(request.header("authorization") or "")
        if told is None:
            return _error(400, "MissingParameter", "Authorization is mandatory for this action.")
        key_id, names, given = told.groups()
        fields = {name: request.header(name) or "" for name in names.split(";")}
        unsigned = [
            name for name, _ in request.headers if name.lower().startswith("x-acs-") and name.lower() not in fields
        ]
        if key_id != self.access_key_id:
            return _error(404, "InvalidAccessKeyId.NotFound", "Specified access key is not found.")
        if self.security_token is not None and fields.get("x-acs-security-token") != self.security_token:
            return _error(400, "InvalidSecurityToken.Expired", "Specified SecurityToken is expired.")
        if not _is_fresh(fields.get("x-acs-date", "")):
            return _error(400, "IllegalTimestamp", "The input parameter x-acs-date is not accepted.")
        digest = hashlib.sha256(request.content).hexdigest()
        query = canonical_query(request.query.items())
        wanted = signature(request.method, request.path, query, fields, digest, self.access_key_secret)
        is_whole = not unsigned and "host" in fields and fields.get("x-acs-content-sha256") == digest
        if not is_whole or not hmac.compare_digest(wanted, given):
            return _error(400, "SignatureDoesNotMatch", "Specified signature does not match our calculation.")
        nonce = fields.get("x-acs-signature-nonce", "")
        if not nonce or nonce in self._used:
            return _error(400, "SignatureNonceUsed", "Specified signature nonce was used already.")
        self._used.add(nonce)
        return None

    # --- what is told -------------------------------------------------------------------------------------------------

    def _found(self, request: ServerRequest) -> ServerReply:
        parts = [unquote(part) for part in request.path.removeprefix(API_PATH).split("/")]
        operation = {2: "DescribeService", 3: "ListServiceInstances"}.get(len(parts))
        if operation != request.header("x-acs-action") or request.header("x-acs-version") != VERSION:
            return _error(
                404, "InvalidAction.NotFound", "Specified api is not found, please check your url and method."
            )
        if parts[:2] != [self.cluster, self.service]:
            return _error(404, "InvalidService.NotFound", f"Service {parts[1]} does not exist.")
        if operation == "DescribeService":
            return self._described()
        return (
            self._listed(request) if parts[2] == "instances" else _error(404, "InvalidAction.NotFound", "No such api.")
        )

    def _described(self) -> ServerReply:
        token = self.token()
        facts = {"RequestId": "R-1", "ServiceName": self.service, "Region": self.cluster, "Status": "Running"}
        return json_reply(facts if token is None else {**facts, "AccessToken": token})

    def _listed(self, request: ServerRequest) -> ServerReply:
        role = request.query.get("Role")
        entries = [self._entry(instance) for instance in self._instances()]
        entries = [entry for entry in entries if role is None or entry["Role"] == role]
        size = min(self.page_size, int(request.query.get("PageSize", "100")))
        number = int(request.query.get("PageNumber", "1"))
        page = entries[(number - 1) * size : number * size]
        return json_reply(
            {
                "RequestId": "R-2",
                "PageNumber": number,
                "PageSize": size,
                "TotalCount": len(entries),
                "Instances": page,
            }
        )

    def _entry(self, instance: ModelInstance) -> dict[str, object]:
        return {
            "InstanceName": instance.name,
            "ExternalIP": instance.host,
            "ExternalInstancePort": instance.port,
            "InnerIP": "10.224.0.1",
            "InstancePort": 8000,
            "Status": "Running",
            "Role": "Standard",
            "Isolated": False,
            "Zone": "cn-emulated-a",
            **self.facts.get(instance.name, {}),
        }


def _is_fresh(date: str) -> bool:
    try:
        told = datetime.strptime(date, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp()
    except ValueError:
        return False
    return abs(told - time.time()) <= _TOLERANCE


def _error(status: int, code: str, message: str) -> ServerReply:
    body = {"RequestId": "R-0", "HostId": "pai-eas.emulated", "Code": code, "Message": message, "Recommend": ""}
    return json_reply(body, status)
