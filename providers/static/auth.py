"""How calls to a configured address are authenticated: a fixed `Authorization` header, or nothing."""

from __future__ import annotations

from typing import Literal, TypeAlias

from ...core.fields import Secret
from ...core.message import Headers

__all__ = ["Scheme", "fixed_headers"]

Scheme: TypeAlias = Literal["none", "bearer", "plain"]
"""`bearer`: `Authorization: Bearer {token}`; `plain`: `Authorization: {token}`; `none`: no header."""


def fixed_headers(token: Secret | None, scheme: Scheme) -> Headers:
    """The headers that go with every call."""
    if token is None or scheme == "none":
        return ()
    value = token.reveal()
    return (("Authorization", f"Bearer {value}" if scheme == "bearer" else value),)
