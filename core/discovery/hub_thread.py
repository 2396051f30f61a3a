"""The thread of the hub: an event loop that runs pollers and timers, and ends when it is told, whatever they do."""

from __future__ import annotations

import asyncio
import atexit
import importlib
import logging
import ssl
import threading
import traceback
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from contextvars import Context
from random import Random
from typing import ParamSpec, TypeVar

from ..clock import Clock
from .budget import BudgetLedger, LocalBudgetKeeper
from .link import StoreLink
from .local import LocalRunner
from .logins import Logins
from .poller import Poller
from .sharing import run_shared

__all__ = ["HubThread"]

_log = logging.getLogger("directlane.discovery")

_EXIT_LIMIT = 1.0
_RESTART = 5.0

_LATE_IMPORTS = ("httpcore", "anyio._backends._asyncio", "encodings.idna")
"""What httpx, anyio and the socket module import when they are first used."""

P = ParamSpec("P")
T = TypeVar("T")


class _LookUps(ThreadPoolExecutor):
    """Where the event loop runs what blocks, which is looking host names up: each in a daemon thread of its own.

    The pool of the standard library is waited for when the loop and when the interpreter ends. A name server that does
    not answer must hold up neither.
    """

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        future: Future[T] = Future()

        def work() -> None:
            try:
                result = fn(*args, **kwargs)
            except BaseException as error:  # noqa: BLE001 - it goes to who waits for it
                future.set_exception(error)
            else:
                future.set_result(result)

        future.set_running_or_notify_cancel()
        threading.Thread(target=work, name="directlane-lookup", daemon=True).start()
        return future


class HubThread:
    """An event loop in a thread of its own. It runs from the constructor to `close`, or to the end of the interpreter.

    Args:
        clock: Source of time.
        ledger: What was spent so far, for the rate budgets.
        local: Runs what is not asked over HTTP.
        random: Source of chance.

    Raises:
        RuntimeError, OSError: The machine gives us no thread or no event loop.
    """

    def __init__(self, clock: Clock, ledger: BudgetLedger, local: LocalRunner, random: Random) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event
        self._keeper: LocalBudgetKeeper
        self._logins: Logins
        self._tasks: dict[Poller, asyncio.Task[None]] = {}
        self._clock = clock
        self._ledger = ledger
        self._local = local
        self._random = random
        self._ending: set[asyncio.Task[None]] = set()
        self._links: dict[StoreLink, asyncio.Task[None]] = {}
        started = threading.Event()
        failed: list[Exception] = []
        self._thread = threading.Thread(
            target=Context().run, args=(self._run, started, failed), name="directlane-discovery", daemon=True
        )
        self._thread.start()
        started.wait()
        if failed:
            raise failed[0]
        # A daemon thread that writes a log line while the interpreter is taken down can crash it.
        atexit.register(self.close, _EXIT_LIMIT)

    def _run(self, started: threading.Event, failed: list[Exception]) -> None:
        try:
            Context().run(asyncio.run, self._main(started))
        except Exception as error:  # noqa: BLE001 - it is raised where the thread is started
            failed.append(error)
        finally:
            started.set()

    async def _main(self, started: threading.Event) -> None:
        self._stop = asyncio.Event()
        self._keeper = LocalBudgetKeeper(self._clock, self._ledger)
        self._logins = Logins(self._clock)
        self._loop = asyncio.get_running_loop()
        self._loop.set_default_executor(_LookUps())
        started.set()
        await self._stop.wait()
        await _ended(self._tasks.values(), self._ending)
        await _ended(self._links.values())  # only now: the pollers have said their last words through them
        # `asyncio.run` cancels what is left and waits for it.

    def start(self, poller: Poller, tls: ssl.SSLContext) -> None:
        """Let the poller run.

        Args:
            poller: Whose questions are to be asked.
            tls: For control planes that are asked over https.
        """
        # A fork while another thread imports leaves the lock of that import closed in the child, for ever. So we import
        # here, in the thread of the caller, what our thread would import otherwise.
        for module in _LATE_IMPORTS:
            importlib.import_module(module)

        def begin() -> None:
            link = poller.link
            if link is not None and link not in self._links:
                self._links[link] = asyncio.ensure_future(link.run())
            self._tasks[poller] = asyncio.ensure_future(self._poll(poller, tls))

        self._call(begin)

    def call_later(self, seconds: float, action: Callable[[], None]) -> None:
        """Run an action after so many seconds, or at once if there are none. It must not raise."""
        if seconds <= 0:
            self._call(action)
        else:
            self._call(lambda: asyncio.get_running_loop().call_later(seconds, action, context=Context()))

    def stop(self, poller: Poller) -> None:
        """End the poller, whatever it is doing."""

        def end() -> None:
            task = self._tasks.pop(poller, None)
            if task is not None:
                task.cancel()
                self._ending.add(task)
                task.add_done_callback(self._ended)

        self._call(end)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._ending.discard(task)
        if self._ending:
            return
        used = {poller.link for poller in self._tasks}
        for link in [link for link in self._links if link not in used]:
            self._links.pop(link).cancel()

    def close(self, limit: float) -> None:
        """End the thread. Waits for its end, but not in the thread itself, and at most `limit` seconds."""
        atexit.unregister(self.close)
        self._call(lambda: self._stop.set())
        if threading.current_thread() is not self._thread:
            self._thread.join(limit)

    async def _poll(self, poller: Poller, tls: ssl.SSLContext) -> None:
        while True:
            try:
                if poller.link is not None:
                    await run_shared(poller, poller.link, tls, self._local, self._random, self._logins)
                else:
                    await poller.run(self._keeper, tls, self._local, self._logins)
                return
            except Exception as error:  # noqa: BLE001 - a mistake of ours: the others go on, and so does this one
                where = "".join(traceback.format_tb(error.__traceback__))  # without the text, which may quote a secret
                _log.error(
                    "%s: the poller broke with %s and starts again\n%s", poller.name, type(error).__name__, where
                )
            await asyncio.sleep(_RESTART)

    def _call(self, what: Callable[[], object]) -> None:
        with suppress(RuntimeError):  # the loop is closed: everything has ended
            assert self._loop is not None  # noqa: S101 - it was there when the constructor returned
            # An empty context: the caller's names its own event loop, maybe another library's, and keeps things alive.
            self._loop.call_soon_threadsafe(what, context=Context())


async def _ended(tasks: Iterable[asyncio.Task[None]], ending: Iterable[asyncio.Task[None]] = ()) -> None:
    """Cancel the tasks, and wait for their end, and for that of those that were cancelled before."""
    waiting = [*tasks, *ending]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
