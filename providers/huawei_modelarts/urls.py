"""URLs in the settings: what is accepted, and what one points at. Pure."""

from __future__ import annotations

import re
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from ...core.endpoint import Endpoint

__all__ = ["Origin", "PathSegment", "ServiceUrl", "endpoint_of", "is_http_url", "is_path_segment", "origin_or_none"]

_DEFAULT_PORTS = {"http": 80, "https": 443}
_SEGMENT = r"^[A-Za-z0-9_-][A-Za-z0-9._-]*$"


def endpoint_of(text: str) -> Endpoint:
    """What a URL points at.

    Raises:
        ValueError: It is not a URL, or has parts that do not belong into one here.
    """
    url = urlsplit(text)
    if url.scheme not in _DEFAULT_PORTS or url.query or url.fragment or "@" in url.netloc:
        raise ValueError("not such a URL")
    port = _DEFAULT_PORTS[url.scheme] if url.port is None else url.port
    return Endpoint(url.hostname or "", port, scheme=url.scheme, base_path=url.path)


def _checked_url(text: str) -> str:
    try:
        endpoint_of(text)
    except ValueError:
        # `from None`: what was written may hold a password.
        raise ValueError(
            "write a URL such as https://host or https://host:port/path, without user, '?' and '#'"
        ) from None
    return text.rstrip("/")


def _checked_origin(text: str) -> str:
    text = _checked_url(text)
    if urlsplit(text).path:
        raise ValueError("write a URL such as https://host or https://host:port, without a path")
    return text


def origin_or_none(text: str) -> str | None:
    """The origin that a variable or a file names, without a trailing slash; None if it is not one.

    Huawei's own package takes a host without a scheme as well: it is reached by https.
    """
    try:
        return _checked_origin(text if "://" in text else f"https://{text}")
    except ValueError:
        return None


def is_http_url(text: str) -> bool:
    """Whether a text is a URL that can be asked. It may have a query."""
    try:
        endpoint_of(text.partition("?")[0])
    except ValueError:
        return False
    return re.search(r"[^\x21-\x7e]", text) is None


def is_path_segment(text: str) -> bool:
    """Whether a text can stand in a path as it is."""
    return re.match(_SEGMENT, text) is not None and "\n" not in text


ServiceUrl = Annotated[str, AfterValidator(_checked_url)]
"""A URL that may have a path, without a trailing slash."""

Origin = Annotated[str, AfterValidator(_checked_origin)]
"""Scheme, host and port, without a trailing slash."""

PathSegment = Annotated[str, Field(pattern=_SEGMENT)]
"""An id that stands in a path."""
