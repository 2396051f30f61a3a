"""The AK/SK signature of Huawei Cloud, algorithm SDK-HMAC-SHA256. Pure: a request and the time in, header fields out.

The host is always signed, so a request cannot be replayed against another one. Two readings that the public text
leaves open follow Huawei's own SDK: the path is decoded as a whole before it is cut at `/`, and the query is sorted
before it is encoded. A `+` in a query is a plus, not a space.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote, unquote, urlsplit

from ...core.fields import Secret
from ...core.message import Headers

__all__ = ["ALGORITHM", "AccessKey", "canonical_request", "query_pairs", "signature", "signed_headers"]

ALGORITHM = "SDK-HMAC-SHA256"

_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class AccessKey:
    """What a request is signed with.

    Args:
        access_key: The public half (AK).
        secret_key: The secret half (SK).
        security_token: Goes with a temporary pair; None for a permanent one.
    """

    access_key: str
    secret_key: Secret
    security_token: Secret | None = None


def signed_headers(
    method: str,
    url: str,
    body: bytes,
    *,
    key: AccessKey,
    unix_time: float,
    headers: Headers = (),
) -> Headers:
    """The header fields that turn a request into a signed one: date, security token if there is one, authorization.

    Args:
        method: HTTP method.
        url: Absolute URL, as it is sent.
        body: The body, as it is sent.
        key: Whose signature.
        unix_time: Seconds since 1970. The platform refuses a difference of more than 15 minutes.
        headers: Fields of the request that the signature shall protect. They must be sent as they are here.
    """
    date = datetime.fromtimestamp(unix_time, UTC).strftime("%Y%m%dT%H%M%SZ")
    parts = urlsplit(url)
    added: list[tuple[str, str]] = [("X-Sdk-Date", date)]
    if key.security_token is not None:
        added.append(("X-Security-Token", key.security_token.reveal()))
    fields = {"host": _host(parts.scheme, parts.hostname or "", parts.port)}
    fields.update((name.lower(), value) for name, value in (*headers, *added))
    canonical = canonical_request(method, parts.path, query_pairs(parts.query), fields, body)
    names, value = ";".join(sorted(fields)), signature(canonical, date, key.secret_key.reveal())
    added.append(("Authorization", f"{ALGORITHM} Access={key.access_key}, SignedHeaders={names}, Signature={value}"))
    return tuple(added)


def canonical_request(
    method: str, path: str, query: Iterable[tuple[str, str]], fields: Mapping[str, str], body: bytes
) -> str:
    """The text whose hash is signed.

    Args:
        method: HTTP method.
        path: Path of the URL, encoded or not.
        query: Names and values, decoded.
        fields: The header fields to sign; names in lower case.
        body: The body.
    """
    encoded_path = quote(unquote(path), safe="/~") or "/"
    # The signed path always ends in a slash, also when the sent one does not.
    if not encoded_path.endswith("/"):
        encoded_path += "/"
    names = sorted(fields)
    return "\n".join(
        (
            method.upper(),
            encoded_path,
            "&".join(f"{quote(name, safe='~')}={quote(value, safe='~')}" for name, value in sorted(query)),
            "".join(f"{name}:{fields[name].strip()}\n" for name in names),
            ";".join(names),
            hashlib.sha256(body).hexdigest(),
        )
    )


def signature(canonical: str, date: str, secret_key: str) -> str:
    """The signature of a canonical request, as lower-case hex.

    Args:
        canonical: From `canonical_request`.
        date: The value of `X-Sdk-Date`.
        secret_key: Used as it is: this algorithm derives no key.
    """
    text = f"{ALGORITHM}\n{date}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    return hmac.new(secret_key.encode(), text.encode(), hashlib.sha256).hexdigest()


def query_pairs(query: str) -> list[tuple[str, str]]:
    """Names and values of a query, decoded. A name without `=` has an empty value."""
    pairs = (part.partition("=") for part in query.split("&") if part)
    return [(unquote(name), unquote(value)) for name, _, value in pairs]


def _host(scheme: str, host: str, port: int | None) -> str:
    """The Host field as HTTP clients send it: the port only where it is not the scheme's own."""
    bracketed = f"[{host}]" if ":" in host else host
    return bracketed if port in (None, _DEFAULT_PORTS.get(scheme)) else f"{bracketed}:{port}"
