"""What an answer of an instance means: what HTTP itself says, since no gateway stands in front of it."""

from __future__ import annotations

from ...core.interfaces import http_verdict as verdict

__all__ = ["verdict"]
