"""Looks at the store: does it open, lend, count and let go, and who may read it? Blocks briefly."""

from __future__ import annotations

import secrets
import stat
import time
from pathlib import Path

from ..discovery.link import FLEET
from ..interfaces.discovery import RateBudget
from ..interfaces.finding import Finding, Level
from ..interfaces.store import Lease, Permit, Store, StoreRefused, StoreUnavailable

__all__ = ["look_at_store", "processes_of"]

_BUDGET = RateBudget("doctor", 1000, 1.0)


def look_at_store(store: Store | None) -> list[Finding]:
    """What is to say about the store of a configuration; None: it has none."""
    if store is None:
        return [Finding(Level.OK, "store", "store-none", "", "none: each process is alone")]
    place, start = str(store), time.monotonic()
    try:
        others = _use(store)
    except StoreRefused as error:
        return [_trouble(place, "store-refused", str(error), "")]
    except StoreUnavailable as error:
        return [
            _trouble(
                place,
                "store-unavailable",
                str(error),
                "it is down, its place is wrong, or this host has no way to it. Each process goes on alone meanwhile",
            )
        ]
    except Exception as error:  # noqa: BLE001 - a store is a plug-in; the text of its error may quote a secret
        return [_trouble(place, "store-failed", f"it failed with {type(error).__name__}", "a mistake in its plug-in")]
    seconds = time.monotonic() - start
    found = "answers; 1 process shares it now" if others == 1 else f"answers; {others} processes share it now"
    return [Finding(Level.OK, "store", "store-well", place, found, seconds=seconds), *_modes(store)]


def processes_of(store: Store | None) -> int | None:
    """How many processes share the store now; None if nobody knows."""
    if store is None:
        return None
    try:
        # One moment is enough to be counted, and nobody else counts us.
        return max(0, store.attend(FLEET, f"doctor-{secrets.token_hex(4)}", 0.001) - 1)
    except Exception:  # noqa: BLE001 - its own line says so
        return None


def _use(store: Store) -> int:
    """Every method once, under names of our own. Returns how many processes are there."""
    holder = secrets.token_hex(8)
    lease = store.lease(f"doctor/{holder}", holder, 5.0)
    if isinstance(lease, Lease):
        store.publish(lease, b"doctor")
        store.read(lease.name)
        store.release(lease)
    permit = store.take([_BUDGET], 1.0)
    if isinstance(permit, Permit):
        store.cancel(permit)
    return max(0, store.attend(FLEET, f"doctor-{holder}", 0.001) - 1)


def _trouble(place: str, code: str, text: str, cause: str) -> Finding:
    found, _, step = text.partition("Next:")
    return Finding(
        Level.PROBLEM if code == "store-refused" else Level.WARNING,
        "store",
        code,
        place,
        found.strip().rstrip("."),
        cause,
        step.strip() or "check the setting `store`, and whether this host reaches the place",
    )


def _modes(store: Store) -> list[Finding]:
    """Who may use the file, if it is one."""
    path: object = getattr(store, "path", None)
    if not isinstance(path, Path):
        return []
    try:
        file, folder = path.stat(), path.parent.stat()
    except OSError:
        return []
    rights = f"{stat.S_IMODE(file.st_mode):04o}, its folder {stat.S_IMODE(folder.st_mode):04o}"
    return [Finding(Level.OK, "store", "store-modes", str(path), f"has the rights {rights}: for its owner only")]
