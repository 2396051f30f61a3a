"""SIGTERM and SIGINT as exceptions, so that what a command started is tidied up on the way out."""

from __future__ import annotations

import signal
import threading
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType

__all__ = ["Terminated", "terminable"]


class Terminated(BaseException):
    """Somebody sent SIGTERM."""


@contextmanager
def terminable() -> Generator[None, None, None]:
    """Raise `Terminated` on SIGTERM and `KeyboardInterrupt` on SIGINT inside.

    Does nothing outside the main thread, which alone gets signals.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(number: int, frame: FrameType | None) -> None:
        del number, frame
        raise Terminated

    before = signal.signal(signal.SIGTERM, end)
    # A shell script starts its background commands with SIGINT ignored; one that is sent all the same is meant.
    interrupt = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
        signal.signal(signal.SIGINT, interrupt)
