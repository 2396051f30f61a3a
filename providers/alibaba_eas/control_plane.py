"""The control plane of PAI-EAS: what it tells of a service, and how it is asked.

Signed requests over HTTPS, from a host that has an account's key. Two questions: the token of a service
(`DescribeService`), and its instances (`ListServiceInstances`). Conversations without I/O.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Generator, Hashable, Iterable
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, cast
from urllib.parse import quote, urlsplit
from uuid import uuid4

from ...core.endpoint import Endpoint, InvalidEndpoint, Snapshot
from ...core.errors import CredentialError, DiscoveryError, DiscoveryRefused, DiscoveryThrottled, DiscoveryUnreadable
from ...core.fields import Secret
from ...core.interfaces import LocalQuery, Query, RateBudget
from ...core.message import Reply
from ...core.retry_after import retry_after
from .credentials import KeySource
from .error_body import describe, error_code
from .signing import AccessKey, canonical_query, signed_headers

__all__ = ["FALLBACK_SOURCE", "AddressKind", "ControlPlane", "InstanceSource", "read_instances", "read_token"]

AddressKind: TypeAlias = Literal["external", "inner"]
Asking: TypeAlias = Generator[Query | LocalQuery, Reply, dict[str, object]]

VERSION = "2021-07-01"
FALLBACK_SOURCE = "control plane"
"""What `attributes["source"]` of a snapshot says if its list is not the discovery server's."""
USUAL_WEIGHT = 100
"""The control plane tells no weight; this one stands in every public sample of discovery."""
PAGE_SIZE = 100
_MAX_PAGES = 15
"""Together with discovery and the key, less than one conversation may ask."""
_BUDGET = (60, 60.0)
_TOKEN = re.compile(r"[\x21-\x7e]+")

# The vendor's words for a key or a signature that is not accepted.
_BAD_KEY = re.compile(
    r"InvalidAccessKeyId|InvalidSecurityToken|SignatureDoesNotMatch|IncompleteSignature|"
    r"MissingSecurityToken|MissingAccessKeyId|SignatureNonceUsed|(Illegal|Invalid)Timestamp",
    re.IGNORECASE,
)


def _nonce() -> str:
    return uuid4().hex


@dataclass(frozen=True)
class ControlPlane:
    """Asks about one service.

    Args:
        origin: Scheme, host and port, without a trailing slash.
        cluster: Id of the cluster, which is the region's id.
        service: Name of the service, as the control plane knows it.
        keys: Where the access key comes from.
        nonce: Makes the numbers used once.
    """

    origin: str
    cluster: str
    service: str
    keys: KeySource = field(repr=False)
    nonce: Callable[[], str] = field(default=_nonce, repr=False, compare=False)

    @property
    def identity(self) -> Hashable:
        """Equal for the same question with the same key."""
        return self.origin, self.cluster, self.service, self.keys.identity

    @property
    def budget(self) -> RateBudget:
        """Ours: the vendor states no limit that we know."""
        return RateBudget(f"alibaba_eas/control plane/{self.origin}", *_BUDGET)

    def token(self, unix_time: float) -> Generator[Query | LocalQuery, Reply, Secret]:
        """The token of the service.

        Raises:
            DiscoveryError: It cannot be had; the subclass says why.
        """
        key = yield from self.keys.key()
        return read_token((yield from self._ask("DescribeService", "", (), key, unix_time)))

    def pages(
        self, unix_time: float, role: str | None
    ) -> Generator[Query | LocalQuery, Reply, tuple[list[object], bool]]:
        """All entries of the list of instances, and whether they are all: a list that is too long is cut.

        Raises:
            DiscoveryError: It cannot be had; the subclass says why.
        """
        key = yield from self.keys.key()
        entries: list[object] = []
        for number in range(1, _MAX_PAGES + 1):
            query = [("PageNumber", str(number)), ("PageSize", str(PAGE_SIZE))]
            if role is not None:
                query.append(("Role", role))
            answer = yield from self._ask("ListServiceInstances", "/instances", query, key, unix_time)
            found = answer.get("Instances")
            if found is None:  # null for an empty list
                found = []
            if not isinstance(found, list):
                raise DiscoveryUnreadable("`Instances` of the control plane's answer is not a list")
            entries += cast("list[object]", found)
            total = answer.get("TotalCount")
            if not found or (isinstance(total, int) and len(entries) >= total):
                return entries, True
        return entries, False

    def _ask(
        self, action: str, suffix: str, query: Iterable[tuple[str, str]], key: AccessKey, unix_time: float
    ) -> Asking:
        path = f"/api/v2/services/{quote(self.cluster, safe='')}/{quote(self.service, safe='')}{suffix}"
        pairs = tuple(query)
        headers = signed_headers(
            "GET",
            urlsplit(self.origin).netloc,
            path,
            pairs,
            action=action,
            version=VERSION,
            key=key,
            unix_time=unix_time,
            nonce=self.nonce(),
        )
        url = f"{self.origin}{path}" + (f"?{canonical_query(pairs)}" if pairs else "")
        reply = yield Query(url, headers=(("accept", "application/json"), *headers), budgets=(self.budget,))
        if reply.status != 200:
            raise _refusal(action, reply, key)
        try:
            answer: object = json.loads(reply.content)
        except (ValueError, RecursionError):
            answer = None
        if not isinstance(answer, dict):
            # Not quoted: it may hold the token.
            raise DiscoveryUnreadable(f"the control plane's answer to {action} is not a JSON object")
        return cast("dict[str, object]", answer)


def read_token(answer: dict[str, object]) -> Secret:
    """The token that an answer to `DescribeService` tells.

    Raises:
        CredentialError: It has none.
        DiscoveryUnreadable: It is not a token.
    """
    token = answer.get("AccessToken")
    if token is None or token == "":
        raise CredentialError(
            "the control plane knows no token of this service. Next: if its authentication is off, set "
            'auth = "none"; else check `control_plane.service`'
        )
    if not isinstance(token, str) or not _TOKEN.fullmatch(token):
        raise DiscoveryUnreadable("the control plane's `AccessToken` is not a token that can be sent")
    return Secret(token)


# --- instances --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class InstanceSource:
    """Lists the instances of a service, for when discovery cannot.

    Args:
        plane: Whom to ask.
        address: Which address of an instance to call.
        role: Only instances of this role. None: all.
    """

    plane: ControlPlane
    address: AddressKind
    role: str | None = None

    @property
    def identity(self) -> Hashable:
        """Equal for the same question with the same key."""
        return self.plane.identity, self.address, self.role

    def list(self, unix_time: float) -> Generator[Query | LocalQuery, Reply, Snapshot]:
        """The list, marked as not being discovery's.

        Raises:
            DiscoveryError: It cannot be had; the subclass says why.
        """
        entries, are_all = yield from self.plane.pages(unix_time, self.role)
        found, rejected = read_instances(entries, self.address, self.role)
        if not are_all:
            rejected.append(f"the list has more than {len(entries)} entries, and the others were not asked for")
        return Snapshot(tuple(found), tuple(rejected), attributes={"source": FALLBACK_SOURCE, "listed_at": unix_time})


def read_instances(
    entries: Iterable[object], address: AddressKind, role: str | None
) -> tuple[list[Endpoint], list[str]]:
    """The endpoints of a list of instances, and a sentence for each entry that is left out.

    An instance that is not `Running` gets no calls, and neither does one that is isolated. What `Isolated` says is not
    sure: nobody documents which way round it is meant. If all running instances have it, it is not believed.
    """
    tables = [cast("dict[str, object]", entry) if isinstance(entry, dict) else None for entry in entries]
    running = [table for table in tables if table is not None and table.get("Status") == "Running"]
    believes_isolated = not all(table.get("Isolated") is True for table in running)
    found: list[Endpoint] = []
    rejected: list[str] = []
    for number, table in enumerate(tables, start=1):
        try:
            found.append(_endpoint(table, address, role, believes_isolated=believes_isolated))
        except InvalidEndpoint as error:
            rejected.append(f"instance {number}: {error}")
    return found, rejected


def _endpoint(
    entry: dict[str, object] | None, address: AddressKind, role: str | None, *, believes_isolated: bool
) -> Endpoint:
    if entry is None:
        raise InvalidEndpoint("it is not an object")
    if entry.get("Status") != "Running":
        raise InvalidEndpoint(f"its status is {_shown(entry.get('Status'))}, not Running")
    if role is not None and entry.get("Role") not in (None, "", role):
        raise InvalidEndpoint(f"its role is {_shown(entry.get('Role'))}, not {role}")
    if believes_isolated and entry.get("Isolated") is True:
        raise InvalidEndpoint("it is isolated")
    ip, port = ("ExternalIP", "ExternalInstancePort") if address == "external" else ("InnerIP", "InstancePort")
    zone, name = entry.get("Zone"), entry.get("InstanceName")
    endpoint = Endpoint(
        host=cast("str", entry.get(ip)),
        port=cast("int", entry.get(port)),
        weight=USUAL_WEIGHT,
        zone=_clean(zone) if isinstance(zone, str) and zone else None,
        labels={"name": _clean(name)} if isinstance(name, str) else {},
    )
    if endpoint.ip is None:
        raise InvalidEndpoint(f"{endpoint.host!r} is not an IP address")
    return endpoint


def _clean(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def _shown(value: object) -> str:
    return repr(value)[:40]


# --- refusals ---------------------------------------------------------------------------------------------------------


def _refusal(action: str, reply: Reply, key: AccessKey) -> DiscoveryError:
    hide = [key.secret.reveal()] + ([] if key.security_token is None else [key.security_token.reveal()])
    text = f"the control plane of PAI-EAS refused {action} ({describe(reply, hide)})"
    code = error_code(reply)
    if reply.status == 429 or code.startswith("Throttling"):
        return DiscoveryThrottled(text, status=reply.status, retry_after=retry_after(reply.headers))
    if reply.status == 401 or _BAD_KEY.search(code):
        return CredentialError(
            f"{text}. Next: check `control_plane.credential`, and the clock of this machine (15 minutes are allowed)"
        )
    if reply.status == 403:
        return DiscoveryRefused(
            f"{text}. Next: allow the key's RAM user or role the action eas:{action}", status=reply.status
        )
    if reply.status == 404:
        return DiscoveryRefused(
            f"{text}. Next: check `region`, `control_plane.cluster` and `control_plane.service`", status=reply.status
        )
    return DiscoveryRefused(text, status=reply.status)
