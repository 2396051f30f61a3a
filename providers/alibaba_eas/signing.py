"""The signature of Alibaba Cloud's OpenAPI, version 3, algorithm ACS3-HMAC-SHA256. Pure: a request, the time and a
number used once go in, header fields come out.

Used for the control plane only. Instances and discovery never see it.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote

from ...core.fields import Secret
from ...core.message import Headers

__all__ = ["ALGORITHM", "AccessKey", "canonical_query", "signature", "signed_headers"]

ALGORITHM = "ACS3-HMAC-SHA256"


@dataclass(frozen=True, slots=True)
class AccessKey:
    """What a request is signed with.

    Args:
        id: The public half.
        secret: The secret half.
        security_token: Goes with a temporary pair; None for a permanent one.
    """

    id: str
    secret: Secret
    security_token: Secret | None = None


def signed_headers(
    method: str,
    host: str,
    path: str,
    query: Iterable[tuple[str, str]] = (),
    *,
    action: str,
    version: str,
    key: AccessKey,
    unix_time: float,
    nonce: str,
    body: bytes = b"",
) -> Headers:
    """All header fields of a signed request.

    Args:
        method: HTTP method.
        host: Host as in the Host field: with the port, if that is not the scheme's own.
        path: As it is sent, percent-encoded.
        query: Names and values, not encoded.
        action: Name of the operation, such as `DescribeService`.
        version: Of the API, such as `2021-07-01`.
        key: Whose signature.
        unix_time: Seconds since 1970. The platform refuses a difference of more than 15 minutes.
        nonce: Used once: it keeps a request from being replayed.
        body: As it is sent.
    """
    digest = hashlib.sha256(body).hexdigest()
    fields = {
        "host": host,
        "x-acs-action": action,
        "x-acs-content-sha256": digest,
        "x-acs-date": datetime.fromtimestamp(unix_time, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "x-acs-signature-nonce": nonce,
        "x-acs-version": version,
    }
    if key.security_token is not None:
        fields["x-acs-security-token"] = key.security_token.reveal()
    signed = signature(method, path, canonical_query(query), fields, digest, key.secret.reveal())
    names = ";".join(sorted(fields))
    authorization = f"{ALGORITHM} Credential={key.id},SignedHeaders={names},Signature={signed}"
    return (*fields.items(), ("Authorization", authorization))


def canonical_query(query: Iterable[tuple[str, str]]) -> str:
    """The query as it is signed, and as it must be sent: sorted by name, percent-encoded."""
    return "&".join(f"{quote(name, safe='~')}={quote(value, safe='~')}" for name, value in sorted(query))


def signature(method: str, path: str, query: str, fields: Mapping[str, str], digest: str, secret: str) -> str:
    """The signature, in lower-case hex.

    Args:
        method: HTTP method.
        path: As it is sent, percent-encoded.
        query: From `canonical_query`.
        fields: The header fields that are signed, with names in lower case.
        digest: SHA-256 of the body, in hex.
        secret: The secret half of the access key.
    """
    lines = "".join(f"{name}:{fields[name].strip()}\n" for name in sorted(fields))
    request = "\n".join((method, path or "/", query, lines, ";".join(sorted(fields)), digest))
    text = f"{ALGORITHM}\n{hashlib.sha256(request.encode()).hexdigest()}"
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()
