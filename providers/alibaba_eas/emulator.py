"""PAI-EAS on loopback: the discovery server with both of its paths, a gateway, the control plane, and instances that
demand the token.

What it answers where the vendor says nothing (an unknown service, a missing path) is our guess, and a strict one: 404.
Like the real server, as far as anybody can tell, it does not mind the date of a signed request unless it is told to:
the vendor's own SDKs label local time as GMT.
"""

from __future__ import annotations

import math
import time
from collections import Counter, deque
from collections.abc import Collection, Mapping, Sequence
from typing import cast
from urllib.parse import unquote

from ...core.emulation import (
    Fleet,
    LoopbackServer,
    ModelInstance,
    Rule,
    ServerReply,
    ServerRequest,
    echo,
    json_reply,
)
from ...core.interfaces import ControlFault, Emulator, Instance
from .discovery import PATHS, PathStyle
from .emulated_answers import USUAL_WEIGHT, broken
from .emulated_control_plane import API_PATH, EmulatedControlPlane
from .emulated_gate import PREDICT, REFUSED, make_gate

__all__ = ["EMULATED_TOKEN", "EasEmulator"]

EMULATED_TOKEN = "emulated-eas-token"  # noqa: S105  # opens nothing but the emulator
_VARIABLE = "EMULATED_EAS_TOKEN"
_KEY_VARIABLE = "EMULATED_EAS_ACCESS_KEY_SECRET"
_REMEMBERED = 1000


class EasEmulator(Emulator):
    """One emulated service.

    Args:
        instances: How many to start. Default 3.
        service: Name of the service; `group.service` for one in a group.
        token: Token of the service; None: authentication is off.
        accept: Forms of the token that are accepted. Default: plain and signed, since nobody says that a direct
            instance takes `bearer`.
        processes: Whether each instance is a process of its own. Default: threads.
        paths: Discovery paths that are served; the others answer 404. Default: both.
        rate_limit: Discovery answers 429 to more than so many queries in so many seconds. Default: no limit.
        date_tolerance: Seconds by which the date of a signed request may be off. Default None: not looked at.
        application: Makes what answers the requests that are let in. Default: the echo.
    """

    def __init__(
        self,
        instances: int = 3,
        *,
        service: str = "scorecard",
        token: str | None = EMULATED_TOKEN,
        accept: Collection[str] = ("plain", "signed"),
        processes: bool = False,
        paths: Collection[PathStyle] = ("exported", "servicediscovery"),
        rate_limit: tuple[int, float] | None = None,
        date_tolerance: float | None = None,
        application: Rule | None = None,
    ) -> None:
        self.service = service
        self.paths: frozenset[PathStyle] = frozenset(paths)
        """Which discovery paths are served; may be changed at any time."""
        self.rate_limit = rate_limit
        """May be changed at any time."""
        self.queries: Counter[str] = Counter()
        """How often discovery was asked, by path style; throttled and failed queries count."""
        self.targets: deque[str] = deque(maxlen=_REMEMBERED)
        """Path and query of the last discovery queries."""
        self.gateway_requests: int = 0
        """How many requests the gateway let through."""
        self._count = instances
        self._is_split = processes
        # Instances in threads share this list with us, and so learn of another token at once.
        self._tokens = None if token is None else [token]
        self._tally: dict[str, int] = {}
        gate_settings = {
            "service": service,
            "tokens": self._tokens,
            "accept": sorted(accept),
            "date_tolerance": date_tolerance,
            "tally": self._tally,
        }
        gate = Rule(f"{make_gate.__module__}:make_gate", gate_settings)
        self._fleet = Fleet(gate=gate, application=application, processes=processes, prefix="eas")
        self._weights: dict[str, int | None] = {}
        self._fault = ControlFault.NONE
        self._asked_at: deque[float] = deque()
        self.control_plane: EmulatedControlPlane = EmulatedControlPlane(
            service.rpartition(".")[2], lambda: self.token, lambda: self._fleet.listed
        )
        """Its OpenAPI. It goes on while discovery is broken."""
        self._gateway_gate = make_gate(gate_settings)
        self._gateway_echo = echo("gateway")
        self._control = LoopbackServer(self._answer)

    # --- the contract -------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the instances and the control server (discovery and gateway)."""
        try:
            self._fleet.start(self._count)
            self._control.start()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop everything."""
        self._control.stop()
        self._fleet.stop()

    @property
    def instances(self) -> Sequence[ModelInstance]:
        """The instances that discovery names; killed ones too, until they are removed."""
        return self._fleet.listed

    @property
    def all_instances(self) -> Sequence[ModelInstance]:
        """All that were ever started: for sums over their ledgers."""
        return self._fleet.everyone

    def add_instance(self, *, weight: int | None = None) -> ModelInstance:
        """Start one more instance and list it, with weight 100 if none is given."""
        instance = self._fleet.add()
        if weight is not None:
            self._weights[instance.name] = weight
        return instance

    def remove_instance(self, instance: Instance) -> None:
        """As `Emulator.remove_instance`."""
        self._fleet.remove(instance)

    def break_control_plane(self, fault: ControlFault) -> None:
        """Let discovery fail; the gateway and the OpenAPI go on."""
        self._fault = fault

    def break_api(self, fault: ControlFault) -> None:
        """Let the OpenAPI fail, which tells tokens and instances; discovery goes on."""
        reply = broken(fault)
        self.control_plane.broken = None if reply is None else lambda: reply

    def route(self) -> Mapping[str, object]:
        """Settings for direct access with the plain token."""
        return {
            "provider": "alibaba_eas",
            "service": self.service,
            "discovery_host": self.host,
            **self._token_setting(),
        }

    @property
    def environment(self) -> Mapping[str, str]:
        """The token that `route` and `gateway_route` refer to."""
        return {} if self.token is None else {_VARIABLE: self.token}

    # --- more ---------------------------------------------------------------------------------------------------------

    @property
    def token(self) -> str | None:
        """The token of the service now; None: authentication is off."""
        return None if self._tokens is None else self._tokens[0]

    @property
    def refused_calls(self) -> int:
        """How many calls the instances and the gateway answered with 401. Instances in processes are not counted."""
        return self._tally.get(REFUSED, 0)

    def calls_with(self, token: str) -> int:
        """How many calls came in with this token. Instances in processes are not counted."""
        return self._tally.get(token, 0)

    def rotate_token(self, token: str, *, keep_old: bool = False) -> None:
        """Give the service another token.

        Args:
            token: The new one. The control plane tells it from now on, and the instances accept it.
            keep_old: Whether the instances go on accepting the old one too, until the next rotation.

        Raises:
            RuntimeError: The instances are processes, or authentication is off.
        """
        if self._tokens is None or self._is_split:
            raise RuntimeError("a token can be rotated only if there is one, and if the instances are threads")
        self._tokens[:] = [token, *self._tokens[:1]] if keep_old else [token]

    @property
    def control_plane_environment(self) -> Mapping[str, str]:
        """The secret that `control_plane_route` refers to."""
        return {_KEY_VARIABLE: self.control_plane.access_key_secret}

    def control_plane_route(self, **settings: object) -> Mapping[str, object]:
        """Settings for direct access with the token of the control plane.

        Args:
            settings: More settings of the table `control_plane`.
        """
        credential: dict[str, object] = {
            "type": "access_key",
            "access_key_id": self.control_plane.access_key_id,
            "access_key_secret": f"${{{_KEY_VARIABLE}}}",
        }
        plane = {"endpoint": self.url, "cluster": self.control_plane.cluster, "credential": credential, **settings}
        return {
            "provider": "alibaba_eas",
            "service": self.service,
            "discovery_host": self.host,
            "control_plane": plane,
        }

    @property
    def host(self) -> str:
        """`host:port` of discovery and gateway."""
        return f"{self._control.host}:{self._control.port}"

    @property
    def url(self) -> str:
        """`http://host:port` of discovery and gateway."""
        return self._control.url

    @property
    def discovery_queries(self) -> int:
        """How often discovery was asked, over both paths."""
        return self.queries.total()

    def gateway_route(self) -> Mapping[str, object]:
        """Settings for access through the gateway."""
        return {
            "provider": "alibaba_eas",
            "service": self.service,
            "access": "vpc_gateway",
            "gateway_host": self.host,
            **self._token_setting(),
        }

    def set_weight(self, instance: ModelInstance, weight: int | None) -> None:
        """Change the weight that discovery tells; None leaves the field out."""
        self._weights[instance.name] = weight

    def _token_setting(self) -> dict[str, object]:
        return {} if self._tokens is None else {"token": f"${{{_VARIABLE}}}"}

    # --- the control server (in its own thread) -----------------------------------------------------------------------

    def _answer(self, request: ServerRequest) -> ServerReply:
        path = request.path
        for style, start in PATHS.items():
            if path.startswith(start):
                return self._discover(request, style, unquote(path.removeprefix(start)))
        if path.startswith(PREDICT):
            return self._pass_on(request)
        if path.startswith(API_PATH):
            return self.control_plane.answer(request)
        return json_reply({"error": "no such path"}, 404)

    def _discover(self, request: ServerRequest, style: PathStyle, service: str) -> ServerReply:
        self.queries[style] += 1
        self.targets.append(request.target)
        if self._is_over_limit():
            window = self.rate_limit[1] if self.rate_limit else 0
            return json_reply({"error": "asked too often"}, 429, (("retry-after", str(math.ceil(window))),))
        failure = broken(self._fault)
        if failure is not None:
            return failure
        if style not in self.paths:
            return ServerReply(404, (("content-type", "text/plain"),), b"404 page not found")
        if request.method != "GET":
            return json_reply({"error": "method not allowed"}, 405)
        if service != self.service:
            return json_reply({"error": f"service {service} does not exist"}, 404)
        is_internal = request.query.get("internal") == "true"
        items = [self._item(instance, is_internal=is_internal) for instance in self._fleet.listed]
        name = self.service.rpartition(".")[2]
        return json_reply({"correlative": [name], "endpoints": {"items": items}})

    def _item(self, instance: ModelInstance, *, is_internal: bool) -> dict[str, object]:
        item: dict[str, object] = {
            "app": self.service.replace("_", "-"),
            "ip": instance.host,
            "port": instance.port,
            "weight": self._weights.get(instance.name, USUAL_WEIGHT),
        }
        if item["weight"] is None:
            del item["weight"]
        if is_internal:
            item |= {"name": instance.name, "service": self.service}
        return item

    def _is_over_limit(self) -> bool:
        if self.rate_limit is None:
            return False
        limit, window = self.rate_limit
        now = time.monotonic()
        while self._asked_at and self._asked_at[0] <= now - window:
            self._asked_at.popleft()
        if len(self._asked_at) >= limit:
            return True
        self._asked_at.append(now)
        return False

    def _pass_on(self, request: ServerRequest) -> ServerReply:
        """The gateway. It answers in the place of an instance; without a living one it has nobody to pass it to."""
        refusal = self._gateway_gate(request)
        if refusal is not None:
            return refusal
        if not any(instance.is_alive for instance in self._fleet.listed):
            return ServerReply(503, (("content-type", "text/plain"),), b"no healthy upstream")
        self.gateway_requests += 1
        return cast("ServerReply", self._gateway_echo(request))
