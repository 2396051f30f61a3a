"""How calls to an address that a name stands for are authenticated: a fixed `Authorization` header, or nothing."""

from __future__ import annotations

from ...core.interfaces import TokenScheme, authorization

__all__ = ["TokenScheme", "authorization"]
