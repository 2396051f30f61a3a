"""How a temporary access key is read in an answer of IAM, of the metadata server, or of the agent of a pod."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import cast

from ...core.errors import DiscoveryUnreadable
from ...core.fields import Secret
from ...core.message import Reply
from .grants import KeyGrant
from .renewal import Fetched, life_of
from .signing import AccessKey

__all__ = ["KEY_PATH", "as_key", "read_temporary_key"]

KEY_PATH = "/v3.0/OS-CREDENTIAL/securitytokens"
"""Where IAM gives temporary keys."""

_SHORTEST_LIFE = 900.0
_KEY = re.compile(r"[\x21-\x2b\x2d-\x7e]+")
_WORD = re.compile(r"[\x21-\x7e]+")

_PARTS = (
    ("access", "accessKeyId", "access_key_id"),
    ("secret", "secretAccessKey", "secret_access_key"),
    ("securitytoken", "securityToken", "security_token"),
)
_END = ("expires_at", "expiration")
"""What IAM and the metadata server write, and what newer services of Huawei write: their own SDKs read all of them."""


def read_temporary_key(reply: Reply, unix_time: float, who: str) -> Fetched:
    """The temporary key in an answer.

    Args:
        reply: The answer; its status is a success.
        unix_time: Our time.
        who: Who answered, for error texts.

    Raises:
        DiscoveryUnreadable: There is no key in it.
    """
    said = _key_of(reply.content)
    parts = [_first(said, names) for names in _PARTS]
    key = as_key(*(part if isinstance(part, str) else "" for part in parts))
    if key is None or key.security_token is None:
        raise DiscoveryUnreadable(
            f"{who} answered with status {reply.status} and no usable key (credential.access, .secret, .securitytoken)"
        )
    return Fetched(KeyGrant(key), life_of(reply, _first(said, _END), None, unix_time, usual=_SHORTEST_LIFE))


def _key_of(content: bytes) -> Mapping[str, object]:
    """The table with the key; empty if there is none."""
    try:
        data: object = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(data, dict):
        return {}
    inner = _first(cast("dict[str, object]", data), ("credential", "credentials"))
    return cast("dict[str, object]", inner) if isinstance(inner, dict) else {}


def _first(said: Mapping[str, object], names: tuple[str, ...]) -> object:
    return next((said[name] for name in names if said.get(name)), None)


def as_key(access: str, secret: str, security_token: str = "") -> AccessKey | None:
    """A key made of texts from outside; None if a part is missing or cannot be sent."""
    access, secret, security_token = access.strip(), secret.strip(), security_token.strip()
    # What is not printable cannot be encoded, or is a line break that nobody meant.
    if not _KEY.fullmatch(access) or not secret or not secret.isprintable():
        return None
    if security_token and not _WORD.fullmatch(security_token):
        return None
    return AccessKey(access, Secret(secret), Secret(security_token) if security_token else None)
