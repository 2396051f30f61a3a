"""The Retry-After header: how long the far side asks us to wait."""

from __future__ import annotations

import math
import re

from .message import Headers, header

__all__ = ["retry_after"]

_SECONDS = re.compile(r"[0-9]+(\.[0-9]+)?")


def retry_after(headers: Headers) -> float | None:
    """Seconds to wait; None if the header is absent or says nothing usable.

    Only the form in seconds is read (RFC 9110, 10.2.3), also with a fraction, which some servers send. The form with a
    date would make every delay depend on two clocks that may differ by more than the delay.
    """
    text = header(headers, "retry-after")
    if text is None or not _SECONDS.fullmatch(text.strip()):
        return None
    seconds = float(text)
    return seconds if math.isfinite(seconds) else None
