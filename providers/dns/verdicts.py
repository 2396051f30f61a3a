"""What an answer of an address that a name stands for means: what HTTP itself says, since no cloud stands behind it."""

from __future__ import annotations

from ...core.interfaces import http_verdict as verdict

__all__ = ["verdict"]
