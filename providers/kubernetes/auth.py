"""Where the API server is, and how it is asked: what Kubernetes puts into every pod.

The conventions (Kubernetes documentation, "Accessing the API from a pod"): the environment variables
`KUBERNETES_SERVICE_HOST` and `KUBERNETES_SERVICE_PORT`, and a folder with the files `token`, `ca.crt` and `namespace`.
The token is renewed by the kubelet while the pod runs, so it is read anew for each question.
"""

from __future__ import annotations

import json
import os
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias, cast

from ...core.endpoint import authority
from ...core.errors import DiscoveryError
from ...core.interfaces import LocalQuery
from ...core.message import Headers, Reply

__all__ = ["SERVICE_ACCOUNT", "Access", "AccessSettings", "Accessing"]

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where a pod finds the files of its service account."""

_HOST, _PORT = "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"


@dataclass(frozen=True, slots=True)
class Access:
    """How the API server is asked now.

    Args:
        api: Its URL, without a trailing slash.
        namespace: Of the service.
        headers: Sent with each query.
        trust: The authorities that are trusted, as PEM; None for the usual ones.
    """

    api: str
    namespace: str
    headers: Headers = field(repr=False)
    trust: str | None = field(repr=False)


Accessing: TypeAlias = Generator[LocalQuery, Reply, Access]


@dataclass(frozen=True, slots=True)
class AccessSettings:
    """What the settings say about it.

    Args:
        api: URL of the API server; None: what the environment names.
        namespace: Of the service; None: the pod's own.
        folder: With the files of the service account; None: there are none, and the API server wants no token.
    """

    api: str | None
    namespace: str | None
    folder: Path | None

    def ask(self) -> Accessing:
        """Find out, as a part of a conversation.

        Raises:
            DiscoveryError: Something is missing. The text says what.
        """
        reply = yield LocalQuery("the service account of the pod", self._read)
        if reply.status != 200:
            raise DiscoveryError(reply.content.decode(errors="replace"))
        try:
            told = cast("dict[str, str]", json.loads(reply.content))
            trust = told.get("ca.crt") if told["api"].startswith("https:") else None
            token = (("Authorization", f"Bearer {told['token']}"),) if "token" in told else ()
            return Access(told["api"], told["namespace"], (("Accept", "application/json"), *token), trust)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise DiscoveryError(f"the service account cannot be read: {type(error).__name__}") from None

    def _read(self) -> Reply:
        """In a thread."""
        told = {"api": self.api or "", "namespace": self.namespace or ""}
        if self.api is None:
            host, port = os.environ.get(_HOST), os.environ.get(_PORT)
            if not host or not port or not port.isdecimal():
                return _missing(f"this is no pod: {_HOST} or {_PORT} is not set. Next: set `api` and `namespace`")
            told["api"] = f"https://{authority(host, int(port))}"
        files = [] if self.folder is None else ["token", "ca.crt"]
        if self.namespace is None:
            files.append("namespace")
        for name in files:
            path = (self.folder or SERVICE_ACCOUNT) / name
            try:
                told[name] = path.read_text(encoding="ascii").strip()
            except FileNotFoundError:
                if name == "ca.crt" and not told["api"].startswith("https:"):
                    continue
                return _missing(f"{path} is not there. Next: mount the service account's token, or set its folder")
            except (OSError, ValueError) as error:
                return _missing(f"{path} cannot be read: {type(error).__name__}")
        return Reply(200, content=json.dumps(told).encode())


def _missing(text: str) -> Reply:
    return Reply(404, content=text.encode())
