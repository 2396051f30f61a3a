"""Why the operating system refused: found under the errors that libraries wrap around it."""

from __future__ import annotations

import ssl
from typing import cast

__all__ = ["os_reason"]


def os_reason(error: BaseException) -> str:
    """The innermost OSError's own words, such as `Connection refused`; else what the error itself says.

    Libraries that try several addresses hide the reason behind a text like "All connection attempts failed".
    """
    found = ""
    seen: list[BaseException] = []
    waiting: list[BaseException] = [error]
    while waiting:
        current = waiting.pop()
        if any(current is other for other in seen):
            continue
        seen.append(current)
        if isinstance(current, ssl.SSLCertVerificationError) and hasattr(current, "verify_message"):
            found = f"its certificate is not accepted: {current.verify_message.rstrip('.')}"
        elif isinstance(current, OSError) and current.strerror:
            found = current.strerror
        if isinstance(current, BaseExceptionGroup):
            # `isinstance` leaves open what is in the group.
            waiting.extend(cast("BaseExceptionGroup[BaseException]", current).exceptions)
        waiting.extend(cause for cause in (current.__cause__, current.__context__) if cause is not None)
    return found or str(error) or type(error).__name__
