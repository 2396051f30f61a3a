"""What an answer of an address of the file means: what HTTP itself says, since no cloud stands behind it."""

from __future__ import annotations

from ...core.interfaces import http_verdict as verdict

__all__ = ["verdict"]
