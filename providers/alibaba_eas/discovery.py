"""How PAI-EAS tells the addresses of a service's instances.

One GET without credential, answered only inside the VPC. The same answer is served on two paths, and not every host
serves both: with `auto`, a 404 leads to the other path, and the one that worked comes first from then on.

If the discovery server cannot be asked and there is no list yet, the control plane may be asked for one. That list is a
help for the start: it says nothing of weights, and it is left as soon as discovery answers.
"""

from __future__ import annotations

import json
import math
from collections.abc import Hashable
from dataclasses import replace
from typing import Literal, TypeAlias, cast
from urllib.parse import quote

from ...core.endpoint import Endpoint, InvalidEndpoint, Snapshot
from ...core.errors import (
    DiscoveryError,
    DiscoveryRefused,
    DiscoveryThrottled,
    DiscoveryUnreadable,
    TransportError,
    headline,
)
from ...core.interfaces import AddressSource, Conversation, EmptyAnswer, PollContext, Query
from ...core.message import Reply
from ...core.retry_after import retry_after
from .control_plane import FALLBACK_SOURCE, InstanceSource

__all__ = ["PATHS", "EasDiscovery", "GatewayDiscovery", "PathStyle", "read_upstreams"]

PathStyle: TypeAlias = Literal["exported", "servicediscovery"]

PATHS: dict[PathStyle, str] = {
    "exported": "/exported/apis/eas.alibaba-inc.k8s.io/v1/upstreams/",
    "servicediscovery": "/api/v1/servicediscovery/upstreams/",
}
"""The two paths, the documented one first."""

_LIST_AGAIN = 30.0
"""Seconds between two lists of the control plane, while discovery stays away."""


class EasDiscovery:
    """Asks for the instances of one service.

    Args:
        host: Host, or host:port, of the discovery server.
        service: Name of the service, or group.service, without sub-path.
        path: Which path to ask; `auto` finds out.
        internal: Whether to ask for the addresses inside the cluster.
        fallback: Lists the instances while there is no list and discovery cannot be asked. Default: nobody does.
    """

    def __init__(
        self,
        *,
        host: str,
        service: str,
        path: Literal["auto"] | PathStyle,
        internal: bool,
        fallback: InstanceSource | None = None,
    ) -> None:
        self._host = host
        self._service = service
        self._path: Literal["auto"] | PathStyle = path
        self._internal = internal
        self._fallback = fallback
        self._worked: PathStyle = "exported"

    @property
    def identity(self) -> Hashable:
        fallback = None if self._fallback is None else self._fallback.identity
        return "alibaba_eas", self._host, self._service, self._path, self._internal, fallback

    @property
    def addresses(self) -> AddressSource:
        return AddressSource.LEARNED

    @property
    def empty_answer(self) -> EmptyAnswer:
        return EmptyAnswer.REFUSE

    def poll(self, context: PollContext) -> Conversation:
        """One question; two if the first path is not there. If that fails and there is no list yet, the fallback.

        Raises:
            DiscoveryThrottled: Status 429.
            DiscoveryRefused: Any other status than 200.
            DiscoveryUnreadable: The body is not the answer that we know.
            DiscoveryError: Discovery and the fallback both failed.
        """
        try:
            return (yield from self._discover())
        except (DiscoveryUnreadable, TransportError) as error:
            failure: DiscoveryError | TransportError = error
        except DiscoveryRefused as error:
            if error.status < 500:  # it can be asked: this is its answer
                raise
            failure = error
        if self._fallback is None or not _needs_fallback(context):
            raise failure
        try:
            return (yield from self._fallback.list(context.unix_time))
        except (DiscoveryError, TransportError) as error:
            raise DiscoveryError(
                f"{headline(failure)}; and the instances cannot be had from the control plane: {error}"
            ) from error

    def _discover(self) -> Conversation:
        reply: Reply | None = None
        asked: list[str] = []
        for style in self._styles():
            url = self._url(style)
            asked.append(url)
            reply = yield Query(url)
            if reply.status == 200:
                snapshot = read_upstreams(reply.content)
                self._worked = style
                return replace(snapshot, attributes={**snapshot.attributes, "discovery_path": style})
            if reply.status != 404:
                break
        raise _refusal(cast("Reply", reply), asked)

    def _styles(self) -> tuple[PathStyle, ...]:
        if self._path != "auto":
            return (self._path,)
        return ("exported", "servicediscovery") if self._worked == "exported" else ("servicediscovery", "exported")

    def _url(self, style: PathStyle) -> str:
        query = "?internal=true" if self._internal else ""
        return f"http://{self._host}{PATHS[style]}{quote(self._service, safe='')}{query}"

    def __repr__(self) -> str:
        return f"<EasDiscovery {self._service} at {self._host}, path {self._path}>"


class GatewayDiscovery:
    """A gateway: one endpoint that is known from the start."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._snapshot = Snapshot((endpoint,), ask_again_in=math.inf)

    @property
    def identity(self) -> Hashable:
        return "alibaba_eas gateway", self._snapshot.endpoints

    @property
    def addresses(self) -> AddressSource:
        return AddressSource.CONFIGURED

    @property
    def empty_answer(self) -> EmptyAnswer:
        return EmptyAnswer.REFUSE

    def poll(self, context: PollContext) -> Conversation:
        """A conversation in which nothing is asked."""
        del context
        yield from ()
        return self._snapshot

    def __repr__(self) -> str:
        return f"<GatewayDiscovery {self._snapshot.endpoints[0].id}>"


def _needs_fallback(context: PollContext) -> bool:
    """Whether there is no list, or one that the fallback gave some time ago."""
    previous = context.previous
    if previous is None or not previous.endpoints:
        return True
    if previous.attributes.get("source") != FALLBACK_SOURCE:
        return False
    listed_at = previous.attributes.get("listed_at")
    return not isinstance(listed_at, float) or abs(context.unix_time - listed_at) >= _LIST_AGAIN


def read_upstreams(body: bytes) -> Snapshot:
    """The snapshot that an answer tells.

    An entry that cannot be an endpoint is left out and told in `rejected`; the others count. An answer without entries
    is a snapshot without endpoints: whether to believe it is not decided here.

    Raises:
        DiscoveryUnreadable: It is not JSON, or not of the shape `{"endpoints": {"items": [...]}}`.
    """
    try:
        data: object = json.loads(body)
    except (ValueError, RecursionError):
        raise DiscoveryUnreadable(f"the discovery answer is not JSON: {_shown(body)}") from None
    answer = _table(data)
    if answer is None:
        raise DiscoveryUnreadable(f"the discovery answer is not an object: {_shown(body)}")
    endpoints = _table(answer.get("endpoints"))
    if endpoints is None:
        raise DiscoveryUnreadable(f"the discovery answer has no object `endpoints`: {_shown(body)}")
    items = endpoints.get("items")
    if items is None:  # the server writes null for an empty list
        items = []
    if not isinstance(items, list):
        raise DiscoveryUnreadable(f"`endpoints.items` of the discovery answer is not a list: {_shown(body)}")
    found: list[Endpoint] = []
    rejected: list[str] = []
    for number, item in enumerate(cast("list[object]", items), start=1):
        try:
            found.append(_endpoint(item))
        except InvalidEndpoint as error:
            rejected.append(f"entry {number}: {error}")
    return Snapshot(tuple(found), tuple(rejected), attributes=_attributes(answer), raw=body)


def _endpoint(item: object) -> Endpoint:
    entry = _table(item)
    if entry is None:
        raise InvalidEndpoint("it is not an object")
    # Endpoint checks the values themselves, whatever type JSON gave them.
    endpoint = Endpoint(
        host=cast("str", entry.get("ip")),
        port=cast("int", entry.get("port")),
        weight=cast("int | None", entry.get("weight")),
        labels={key: _clean(value) for key in ("app", "service", "name") if isinstance(value := entry.get(key), str)},
    )
    if endpoint.ip is None:
        raise InvalidEndpoint(f"{endpoint.host!r} is not an IP address")
    return endpoint


def _attributes(answer: dict[str, object]) -> dict[str, object]:
    """`correlative`: the names of the services of the same group."""
    names = answer.get("correlative")
    if not isinstance(names, list):
        return {}
    return {"correlative": tuple(_clean(name) for name in cast("list[object]", names) if isinstance(name, str))}


def _table(data: object) -> dict[str, object] | None:
    return cast("dict[str, object]", data) if isinstance(data, dict) else None


def _clean(text: str) -> str:
    """Text that can be written anywhere: JSON may hold halves of characters, which no encoding takes."""
    return text.encode("utf-8", "replace").decode()


def _shown(body: bytes) -> str:
    text = repr(body[:80].decode("utf-8", "replace"))
    return f"{text}..." if len(body) > 80 else text


def _refusal(reply: Reply, asked: list[str]) -> DiscoveryRefused:
    where = " and ".join(asked)
    if reply.status == 429:
        return DiscoveryThrottled(
            f"PAI-EAS discovery says that it is asked too often (429) at {where}",
            retry_after=retry_after(reply.headers),
        )
    if reply.status == 404:
        hint = "check `service` (group.service for a service in a group), the region, and that the service runs"
    else:
        hint = "the list that we have stays in use; if this goes on, check the host and the service's state"
    return DiscoveryRefused(
        f"PAI-EAS discovery answered {reply.status} at {where}: {_shown(reply.content)}. Next: {hint}",
        status=reply.status,
    )
