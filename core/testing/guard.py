"""Runs a piece of a plug-in by itself: what it must not do there is seen and told.

What is decided without I/O must not read, send, wait or look at a clock, whoever calls whom in between. So the guard
looks at calls, through `sys.setprofile`, and not at the names of one module: `from time import time` is seen as well.
It counts steps, too, so that a loop without end is a failure and not a test run without end.

Not seen: what C code calls from C code.
"""

from __future__ import annotations

import _socket
import _thread
import gc
import io
import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from datetime import date
from pathlib import PurePath
from socket import SocketType as RawSocket
from types import FrameType
from typing import cast

__all__ = ["STEPS", "alone"]

STEPS = 1_000_000
"""What one decision may take, in instructions of Python: far more than any needs."""

_CLOCKS = ("time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns")
_FILES = ("open", "stat", "lstat", "listdir", "scandir", "read", "write", "remove", "mkdir", "system", "fork")
_NAMES = ("getaddrinfo", "gethostbyname", "gethostbyname_ex", "gethostbyaddr", "getnameinfo")
_WAITS = ("select", "poll", "epoll", "kqueue")


def _functions(module: object, names: tuple[str, ...], does: str) -> dict[object, str]:
    found = ((name, cast("object", getattr(module, name, None))) for name in names)
    return {
        function: f"{does} ({getattr(module, '__name__', '')}.{name})"
        for name, function in found
        if function is not None
    }


_FORBIDDEN: dict[object, str] = {
    **_functions(time, _CLOCKS, "reads a clock"),
    **_functions(time, ("sleep",), "sleeps"),
    **_functions(os, _FILES, "touches the machine"),
    **_functions(_socket, _NAMES, "asks for a name"),
    **_functions(select, _WAITS, "waits"),
    **_functions(_thread, ("start_new_thread",), "starts a thread"),
    io.open: "opens a file",
}
_FORBIDDEN_CODE = {
    threading.Condition.wait.__code__: "waits for another thread",
    subprocess.Popen.__init__.__code__: "starts a program",
}
_PASSED_OVER = ("logging", "importlib", "_frozen_importlib", "warnings", "linecache", "traceback")
"""What runs in these modules is Python's own: a log record has a time."""


class _Stopped(BaseException):
    """Ends what was forbidden. Not an `Exception`, so that few plug-ins catch it; it is remembered anyway."""


class _Watch:
    """Sees the calls and steps of one thread. Mutable state: what was seen first, and how many steps are left."""

    def __init__(self, steps: int | None) -> None:
        self.seen: str | None = None
        self._steps = steps

    def of_calls(self, frame: FrameType, event: str, called: object) -> None:
        does: str | None = None
        if event == "c_call":
            does = _FORBIDDEN.get(called) or _of_object(called)
        elif event == "call":
            does = _FORBIDDEN_CODE.get(frame.f_code)
        if does is not None and not _is_passed_over(frame):
            self._stop(does, frame)

    def of_steps(self, frame: FrameType, event: str, value: object) -> object:
        del value
        if event == "call":
            # A loop on one line has no event of its own in every Python; an instruction has.
            frame.f_trace_opcodes, frame.f_trace_lines = True, False
        elif event == "opcode" and self._steps is not None:
            self._steps -= 1
            if self._steps < 0:
                self._steps = None
                self._stop("does not come to an end", frame)
        return self.of_steps

    def _stop(self, does: str, frame: FrameType) -> None:
        self.seen = self.seen or f"{does}, at {PurePath(frame.f_code.co_filename).name}:{frame.f_lineno}"
        raise _Stopped(does)


@contextmanager
def alone(what: str, *, steps: int | None = STEPS) -> Generator[None]:
    """Run the body with a guard: it fails if anything in it does I/O, waits, reads a clock or does not end.

    Args:
        what: Who is watched, for the text of the failure.
        steps: How many instructions of Python the body may run. None: any number.

    Raises:
        AssertionError: Something was seen.
    """
    watch = _Watch(steps)
    collects = gc.isenabled()
    before = sys.getprofile(), sys.gettrace()
    gc.disable()  # somebody else's garbage may close a socket just now
    try:
        sys.setprofile(watch.of_calls)
        if steps is not None:
            sys.settrace(watch.of_steps)  # type: ignore[arg-type]  # typeshed wants a recursive type
        yield
    except _Stopped:
        pass
    finally:
        sys.settrace(before[1])
        sys.setprofile(before[0])
        if collects:
            gc.enable()
        if watch.seen is not None:
            raise AssertionError(f"{what} {watch.seen}") from None


def _of_object(called: object) -> str | None:
    """What a method of a built-in object does, if that is forbidden."""
    owner = cast("object", getattr(called, "__self__", None))
    if isinstance(owner, RawSocket):
        return f"uses a socket ({getattr(called, '__name__', '')})"
    if isinstance(owner, type) and issubclass(owner, date):
        name = cast("str", getattr(called, "__name__", ""))
        return f"reads a clock ({owner.__name__}.{name})" if name in ("now", "utcnow", "today") else None
    return None


def _is_passed_over(frame: FrameType) -> bool:
    step: FrameType | None = frame
    while step is not None:
        name = cast("str", step.f_globals.get("__name__", ""))
        if name.partition(".")[0] in _PASSED_OVER:
            return True
        if name == __name__:
            return False
        step = step.f_back
    return False
