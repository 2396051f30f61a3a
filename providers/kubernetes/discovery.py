"""Lists the EndpointSlices of a service, then watches them.

The protocol is that of the Kubernetes API ("Efficient detection of changes"): a list has a `resourceVersion`, and a
watch from there tells each change as one line of JSON. A `BOOKMARK` says that nothing was missed up to a version;
`410 Gone` says that a version is too old, and that the list must be read again. The server ends each watch after the
time that it was asked for; the next one goes on from the last version.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Hashable
from dataclasses import replace
from typing import Any, TypeAlias, cast
from urllib.parse import quote

from ...core.endpoint import Snapshot
from ...core.errors import CredentialError, DiscoveryError, DiscoveryRefused, DiscoveryThrottled, DiscoveryUnreadable
from ...core.interfaces import NEXT_PIECE, AddressSource, Conversation, EmptyAnswer, PollContext, Query, Step
from ...core.message import Reply
from ...core.retry_after import retry_after
from .auth import Access, AccessSettings
from .slices import Slice, Wanted, snapshot_of

__all__ = ["KubernetesDiscovery"]

_WATCH_SECONDS = 60
"""How long one watch is. The server also sends a bookmark shortly before its end, which confirms the list."""
_SILENCE = _WATCH_SECONDS + 15.0
"""A watch that has not ended after this is dead."""
_GONE = 410

_Part: TypeAlias = Generator[Step, Reply, bool]


class KubernetesDiscovery:
    """Asks the API server for one service.

    Args:
        access: Where the API server is, and how it is asked.
        service: Name of the Service.
        wanted: Which port, which addresses.
    """

    addresses = AddressSource.LEARNED
    empty_answer = EmptyAnswer.KEEP

    def __init__(self, access: AccessSettings, service: str, wanted: Wanted) -> None:
        self._access = access
        self._service = service
        self._wanted = wanted

    @property
    def identity(self) -> Hashable:
        return "kubernetes", self._access, self._service, self._wanted

    def poll(self, context: PollContext) -> Conversation:
        """A list, and then changes for as long as the API server tells them."""
        del context
        while True:
            access = yield from self._access.ask()
            reply = yield Query(self._url(access), headers=access.headers, trust=access.trust)
            self._check(reply)
            known = _Known(self._named(access))
            known.read_list(reply)
            # A watch that ends without a word is no watch: the core decides when to ask again.
            while (yield from self._watch(known)):
                pass
            if not known.is_expired:
                return known.snapshot()

    def _watch(self, known: _Known) -> _Part:
        """One watch. Whether the next one can go on from its end."""
        yield known.snapshot()
        access = yield from self._access.ask()
        url = self._url(access) + (
            f"&watch=1&allowWatchBookmarks=true&resourceVersion={quote(known.version, safe='')}"
            f"&timeoutSeconds={_WATCH_SECONDS}"
        )
        head = yield Query(url, headers=access.headers, trust=access.trust, watch=True, timeout=_SILENCE)
        if head.status == _GONE:
            known.is_expired = True
            return False
        self._check(head)
        has_told = False
        while piece := (yield NEXT_PIECE).content:
            known.read_event(piece)
            if known.is_expired:
                return False
            has_told = True
            yield known.snapshot()
        return has_told

    def _named(self, access: Access) -> Wanted:
        wanted = self._wanted
        if wanted.scheme != "https" or wanted.server_name is not None:
            return wanted
        return replace(wanted, server_name=f"{self._service}.{access.namespace}.svc")

    def _url(self, access: Access) -> str:
        path = f"/apis/discovery.k8s.io/v1/namespaces/{quote(access.namespace, safe='')}/endpointslices"
        return f"{access.api}{path}?labelSelector=kubernetes.io%2Fservice-name%3D{quote(self._service, safe='')}"

    def _check(self, reply: Reply) -> None:
        status = reply.status
        if status == 200:
            return
        if status == 401:
            raise CredentialError("the API server does not accept the service account's token")
        if status == 403:
            raise DiscoveryRefused(
                "the service account may not read EndpointSlices. Next: give it a Role with the verbs `list` and "
                "`watch` for `endpointslices` of the API group `discovery.k8s.io`",
                status=status,
            )
        if status == 429:
            raise DiscoveryThrottled("the API server is asked too often", retry_after=retry_after(reply.headers))
        raise DiscoveryRefused(f"the API server answered {status}", status=status)

    def __repr__(self) -> str:
        return f"<KubernetesDiscovery {self._service}>"


class _Known:
    """What one conversation has learned. Mutable state: the slices by name, and their version."""

    def __init__(self, wanted: Wanted) -> None:
        self.version = ""
        self.is_expired = False
        self._wanted = wanted
        self._slices: dict[str, Slice] = {}

    def read_list(self, reply: Reply) -> None:
        try:
            answer = reply.json()
            self._slices = {str(item["metadata"]["name"]): item for item in answer["items"]}
            self.version = str(answer["metadata"]["resourceVersion"])
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise _unreadable(error) from error

    def read_event(self, piece: bytes) -> None:
        """One line of a watch.

        Raises:
            DiscoveryError: It cannot be read, or it is an error other than "too old".
        """
        try:
            event = cast("dict[str, Any]", json.loads(piece))
            kind, item = event["type"], event["object"]
            if kind == "ERROR":
                if item.get("code") != _GONE:
                    raise DiscoveryError(f"the API server ended the watch with code {item.get('code')!r:.20}")
                self.is_expired = True
                return
            version = str(item["metadata"]["resourceVersion"])
            if kind in {"ADDED", "MODIFIED"}:
                self._slices[str(item["metadata"]["name"])] = item
            elif kind == "DELETED":
                self._slices.pop(str(item["metadata"]["name"]), None)
            self.version = version
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise _unreadable(error) from error

    def snapshot(self) -> Snapshot:
        try:
            return snapshot_of(self._slices.values(), self._wanted, self.version)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise _unreadable(error) from error


def _unreadable(error: Exception) -> DiscoveryUnreadable:
    return DiscoveryUnreadable(f"the API server's answer is not as we know it: {type(error).__name__}")
