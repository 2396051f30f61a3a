"""Tokens of somebody else: an identity provider's id token at IAM, a service account's at the agent of a pod.

As documented: both requests and their answers. Chosen here: one identity provider, whose newest id token is the only
one that is good; the pod's service account has the same token.
"""

from __future__ import annotations

import secrets

from ...core.emulation import ServerReply, ServerRequest, json_reply
from .emulated_answers import broken, date, error
from .emulated_iam import EmulatedIam, IssuedKey

__all__ = ["IDP_ID", "POD_PATH", "EmulatedFederation"]

IDP_ID = "emulated-idp"
POD_PATH = "/v1/credentials"

_ID_TOKEN_PATH = "/v3.0/OS-AUTH/id-token/tokens"  # noqa: S105 - a path
_SHORT = 600.0
"""Seconds that a token lives which is good for nothing but a temporary key."""


class EmulatedFederation:
    """Runs in the server's thread.

    Args:
        iam: Issues tokens and keys.
        agency: Name of the agency of the pod's service account.
    """

    def __init__(self, iam: EmulatedIam, agency: str) -> None:
        self.exchanges: list[IssuedKey] = []
        """Every id token that was brought to IAM, in order."""
        self.pod_keys: list[IssuedKey] = []
        """Every question to the pod's agent."""
        self._iam = iam
        self._agency = agency
        self._id_token = self.new_id_token()

    @property
    def id_token(self) -> str:
        """The one that is good now."""
        return self._id_token

    def new_id_token(self) -> str:
        """Let another id token be good, and only that."""
        self._id_token = f"eyJ{secrets.token_urlsafe(60)}"
        self._iam.secrets.add(self._id_token)
        return self._id_token

    def at_iam(self, request: ServerRequest) -> ServerReply | None:
        """The answer to a question for IAM; None if it is another one."""
        if request.path != _ID_TOKEN_PATH:
            return None
        reply = self._exchange(request)
        self.exchanges.append(IssuedKey(self._iam.now(), IDP_ID, reply.status))
        return reply

    def _exchange(self, request: ServerRequest) -> ServerReply:
        failing = broken(self._iam.fault, wrong_types={"token": 5}, empty={}, status=201)
        if failing is not None:
            return failing
        try:
            id_token = request.json()["auth"]["id_token"]["id"]
        except (ValueError, KeyError, TypeError, AttributeError):
            return error(400, "IAM.0011", "Request body is invalid")
        if request.header("x-idp-id") != IDP_ID:
            return error(404, "IAM.0004", "Could not find the identity provider")
        if id_token != self._id_token:
            return error(401, "IAM.0001", "The request you have made requires authentication")
        token = f"MII{secrets.token_urlsafe(60)}"
        self._iam.issue_token(token, f"idp:{IDP_ID}", None, _SHORT)
        now = self._iam.now()
        body = {"token": {"expires_at": date(now + _SHORT), "issued_at": date(now), "methods": ["mapped"]}}
        return json_reply(body, 201, (("X-Subject-Token", token),))

    def at_pod(self, request: ServerRequest) -> ServerReply | None:
        """The answer to a question for the pod's agent; None if it is another one."""
        if request.path != POD_PATH:
            return None
        reply = self._pod_key(request)
        self.pod_keys.append(IssuedKey(self._iam.now(), "pod", reply.status))
        return reply

    def _pod_key(self, request: ServerRequest) -> ServerReply:
        if request.method != "POST" or request.header("authorization") != self._id_token:
            return ServerReply(401, (), b"Unauthorized")
        key = self._iam.issue_key(f"agency:{self._agency}", self._iam.key_life)
        names = {"access": "accessKeyId", "secret": "secretAccessKey", "securitytoken": "securityToken"}
        names["expires_at"] = "expiration"
        return json_reply({"credentials": {names[name]: value for name, value in key.items()}})
