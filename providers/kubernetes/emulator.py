"""A small API server on loopback: lists and watches EndpointSlices, demands a token, forgets old versions.

Each instance has a slice of its own, since all entries of a slice share one port.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
import threading
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ...core.emulation import (
    Ending,
    Fleet,
    LoopbackServer,
    ModelInstance,
    ServerReply,
    ServerRequest,
    json_reply,
    token_gate,
)
from ...core.interfaces import ControlFault, Emulator, Instance

__all__ = ["KubernetesEmulator"]

EMULATED_TOKEN = "emulated-kubernetes-token"  # noqa: S105  # opens nothing but the emulator
_VARIABLE = "EMULATED_KUBERNETES_TOKEN"
_NAMESPACE, _SERVICE = "emulated", "model"
_PATH = f"/apis/discovery.k8s.io/v1/namespaces/{_NAMESPACE}/endpointslices"

_ANSWERS = {
    ControlFault.ERROR_500: json_reply({"kind": "Status", "code": 500}, 500),
    ControlFault.NOT_FOUND: json_reply({"kind": "Status", "code": 404}, 404),
    ControlFault.EMPTY: json_reply({"kind": "EndpointSliceList", "metadata": {"resourceVersion": "1"}, "items": []}),
    ControlFault.HTML: ServerReply(content=b"<html>hello</html>"),
    ControlFault.HALF_JSON: ServerReply(content=b'{"kind": "EndpointSliceList", "items": [{"meta'),
    ControlFault.WRONG_TYPES: json_reply({"metadata": {"resourceVersion": 1}, "items": [1, None]}),
    ControlFault.HANG: ServerReply(ending=Ending.HANG),
    ControlFault.RESET: ServerReply(ending=Ending.RESET),
}


class KubernetesEmulator(Emulator):
    """A service with some pods.

    Mutable state, under `_lock`: the slices, the history of their changes, and who watches.

    Args:
        instances: How many to start. Default 3.
        token: What the instances demand, as `Authorization: Bearer {token}`. None: nothing.
        processes: Whether each instance is a process of its own. Default: threads.
    """

    def __init__(self, instances: int = 3, *, token: str | None = EMULATED_TOKEN, processes: bool = False) -> None:
        self._count = instances
        self._token = token
        self._fleet = Fleet(gate=token_gate(token), processes=processes, prefix="kubernetes")
        self._server = LoopbackServer(self._answer)
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._lock = threading.Lock()
        self._slices: dict[str, dict[str, Any]] = {}
        self._history: list[tuple[int, str, dict[str, Any]]] = []
        self._version = 100
        self._oldest = 100
        self._account_token = "account-1"  # noqa: S105 - opens nothing but the emulator
        self._fault = ControlFault.NONE
        self._round = 0
        self._watchers: dict[asyncio.Event, asyncio.AbstractEventLoop] = {}
        self.lists: int = 0
        self.watches: int = 0

    # --- the contract -------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the API server and the instances."""
        self._folder = tempfile.TemporaryDirectory(prefix="directlane-kubernetes-")
        Path(self._folder.name, "namespace").write_text(_NAMESPACE)
        self.renew_account_token(self._account_token)
        self._fleet.start(self._count)
        for instance in self._fleet.listed:
            self._put(instance)
        self._server.start()

    def stop(self) -> None:
        """Stop everything."""
        self._server.stop()
        self._fleet.stop()
        folder, self._folder = self._folder, None
        if folder is not None:
            folder.cleanup()

    @property
    def instances(self) -> Sequence[ModelInstance]:
        """The pods of the service."""
        return self._fleet.listed

    def add_instance(self, *, weight: int | None = None) -> ModelInstance:
        """Start one more. Kubernetes knows no weights; with weight 0 it is one that ends and still serves."""
        instance = self._fleet.add()
        self._put(instance)
        if weight == 0:
            self.set_conditions(instance, ready=False, serving=True, terminating=True)
        return instance

    def remove_instance(self, instance: Instance) -> None:
        """As `Emulator.remove_instance`."""
        (name,) = (each.name for each in self._fleet.listed if each is instance)
        self._fleet.remove(instance)
        with self._lock:
            self._record("DELETED", self._slices.pop(name))

    def break_control_plane(self, fault: ControlFault) -> None:
        """Answer with the fault from now on. Open watches are cut."""
        self._fault = fault
        self.disconnect_watches()

    def route(self) -> Mapping[str, object]:
        """Settings with the URL of the API server and the folder of the service account."""
        if self._folder is None:
            raise RuntimeError("the emulator is not started")
        route: dict[str, object] = {
            "provider": "kubernetes",
            "service": _SERVICE,
            "port": "http",
            "api": self._server.url,
            "service_account": self._folder.name,
        }
        if self._token is not None:
            route["token"] = f"${{{_VARIABLE}}}"
        return route

    @property
    def environment(self) -> Mapping[str, str]:
        """The token that `route` refers to."""
        return {} if self._token is None else {_VARIABLE: self._token}

    # --- what else can happen to an API server ------------------------------------------------------------------------

    @property
    def version(self) -> str:
        """The newest `resourceVersion`."""
        return str(self._version)

    def set_conditions(self, instance: Instance, **conditions: bool | None) -> None:
        """Change `ready`, `serving` or `terminating` of a pod."""
        (name,) = (each.name for each in self._fleet.listed if each is instance)
        with self._lock:
            changed = json.loads(json.dumps(self._slices[name]))
            changed["endpoints"][0]["conditions"].update(conditions)
            self._slices[name] = changed
            self._record("MODIFIED", changed)

    def bookmark(self) -> None:
        """Tell all who watch how far they have come."""
        with self._lock:
            self._record("BOOKMARK", {"metadata": {}})

    def forget_history(self) -> None:
        """Forget all versions but the newest, and end all watches: who goes on from an older one gets 410."""
        with self._lock:
            self._version += 1
            self._oldest = self._version
        self.disconnect_watches()

    def disconnect_watches(self) -> None:
        """End all watches."""
        with self._lock:
            self._round += 1
            self._wake()

    def renew_account_token(self, token: str) -> None:
        """Write another token into the service account's folder; the API server accepts no other."""
        if self._folder is None:
            raise RuntimeError("the emulator is not started")
        self._account_token = token
        Path(self._folder.name, "token").write_text(token + "\n")

    def restart(self) -> None:
        """Stop the API server and start it again, at the same port."""
        self._server.stop()
        self._server.start()

    # --- the API ------------------------------------------------------------------------------------------------------

    def _put(self, instance: ModelInstance) -> None:
        made = {
            "metadata": {"name": instance.name, "labels": {"kubernetes.io/service-name": _SERVICE}},
            "addressType": "IPv4",
            "ports": [{"name": "http", "port": instance.port, "protocol": "TCP"}],
            "endpoints": [
                {
                    "addresses": [instance.host],
                    "conditions": {"ready": True, "serving": True, "terminating": False},
                    "nodeName": "node-1",
                    "zone": "zone-a",
                    "targetRef": {"kind": "Pod", "name": instance.name},
                }
            ],
        }
        with self._lock:
            self._slices[instance.name] = made
            self._record("ADDED", made)

    def _record(self, kind: str, item: dict[str, Any]) -> None:
        self._version += 1
        item["metadata"] = {**item["metadata"], "resourceVersion": str(self._version)}
        self._history.append((self._version, kind, item))
        self._wake()

    def _wake(self) -> None:
        for event, loop in self._watchers.items():
            loop.call_soon_threadsafe(event.set)

    def _answer(self, request: ServerRequest) -> ServerReply:
        if self._fault in _ANSWERS:
            return _ANSWERS[self._fault]
        if request.header("authorization") != f"Bearer {self._account_token}":
            return json_reply({"kind": "Status", "code": 401}, 401)
        query = request.query
        if request.path != _PATH or query.get("labelSelector") != f"kubernetes.io/service-name={_SERVICE}":
            return json_reply({"kind": "Status", "code": 404}, 404)
        if query.get("watch") == "1":
            self.watches += 1
            after = int(query["resourceVersion"])
            if after < self._oldest:
                return json_reply({"kind": "Status", "code": 410}, 410)
            return ServerReply(content=self._events(after, float(query["timeoutSeconds"])))
        self.lists += 1
        with self._lock:
            items = list(self._slices.values())
            return json_reply({"metadata": {"resourceVersion": str(self._version)}, "items": items})

    async def _events(self, after: int, seconds: float) -> AsyncIterator[bytes]:
        loop, changed = asyncio.get_running_loop(), asyncio.Event()
        end = loop.time() + seconds
        with self._lock:
            mine = self._round
            self._watchers[changed] = loop
        try:
            while True:
                changed.clear()
                with self._lock:
                    news = [entry for entry in self._history if entry[0] > after]
                    is_over = mine != self._round
                for version, kind, item in news:
                    after = version
                    yield json.dumps({"type": kind, "object": item}).encode() + b"\n"
                if is_over:
                    return
                try:
                    async with asyncio.timeout_at(end):
                        await changed.wait()
                except TimeoutError:
                    return
        finally:
            with self._lock:
                self._watchers.pop(changed, None)
