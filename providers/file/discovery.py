"""How the file is looked at: often, and read only when it has changed.

The file's state (device, inode, size, times) is the version of the list. A list whose state has not changed is not read
again. What is read may be half-written:

- A new file that was renamed into its place, or a link that was turned to another file, is whole: it is believed.
- JSON that was cut off does not parse: the last list stays, and the failure is told.
- YAML and TOML that were cut off may parse, with fewer entries. So if such a file was changed in its place, it is
  believed when nobody has written into it for a second.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Hashable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Self

from ...core.errors import DiscoveryError, DiscoveryRefused, DiscoveryUnreadable, TransportError, headline
from ...core.interfaces import AddressSource, Conversation, EmptyAnswer, LocalQuery, PollContext
from ...core.message import Reply
from .entries import Format, read_entries

__all__ = ["FileDiscovery", "FileState", "read_if_changed"]

UNCHANGED = 304
_SETTLED = 2.0
"""Two changes may fall into one tick of the file system's clock, and then look like one. So a file that changed less
than so many seconds ago is read again."""
_QUIET = 1.0
_MAX_BYTES = 16 * 1024 * 1024
_VERSION = "version"


@dataclass(frozen=True, slots=True)
class FileState:
    """What tells one content of a file from another, without reading it.

    Args:
        device: Of the file that the path leads to, links followed.
        inode: As above.
        size: In bytes.
        modified: Nanoseconds since 1970.
        changed: As `modified`, of the inode: a rename counts too.
    """

    device: int
    inode: int
    size: int
    modified: int
    changed: int

    @classmethod
    def of(cls, status: os.stat_result) -> Self:
        """The state that the system tells."""
        return cls(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)

    @classmethod
    def from_text(cls, text: str | None) -> Self | None:
        """The state that a version names; None if it names none."""
        try:
            return cls(*(int(part, 16) for part in (text or "").split("-")))
        except (ValueError, TypeError):
            return None

    def __str__(self) -> str:
        return "-".join(f"{part:x}" for part in (self.device, self.inode, self.size, self.modified, self.changed))

    def is_same_file(self, other: FileState) -> bool:
        """Whether it is the same file, whatever stands in it."""
        return (self.device, self.inode) == (other.device, other.inode)

    def rested(self, unix_time: float) -> float:
        """Seconds since somebody wrote into it; negative if its clock is ahead of ours."""
        return unix_time - max(self.modified, self.changed) / 1e9


class FileDiscovery:
    """Looks at one file.

    Args:
        path: The file.
        form: How it is written.
        check_every: Seconds between two looks.
        server_name: Of entries with https that have none of their own.
    """

    def __init__(self, path: Path, form: Format, check_every: float, server_name: str | None = None) -> None:
        self._path = path
        self._form: Format = form
        self._check_every = check_every
        self._server_name = server_name

    @property
    def identity(self) -> Hashable:
        # A `Path`, not a text: each process looks for itself, which costs less than to share.
        return "file", self._path, self._form, self._check_every, self._server_name

    @property
    def addresses(self) -> AddressSource:
        return AddressSource.CONFIGURED

    @property
    def empty_answer(self) -> EmptyAnswer:
        return EmptyAnswer.KEEP

    def poll(self, context: PollContext) -> Conversation:
        """One look.

        Raises:
            DiscoveryUnreadable: The file is not a list of endpoints.
            DiscoveryError: It cannot be read.
        """
        before = context.previous
        known = FileState.from_text(before.version) if before is not None else None
        is_settled = known is not None and known.rested(context.unix_time) >= _SETTLED
        try:
            reply = yield LocalQuery(
                f"the file {self._path}", partial(read_if_changed, self._path, known if is_settled else None)
            )
        except TransportError as error:
            raise DiscoveryError(
                f"{headline(error)}. Next: see that the file is there, and that this process may read it"
            ) from error
        if reply.status == UNCHANGED and before is not None:
            return replace(before, ask_again_in=self._check_every)
        if reply.status != 200:
            raise DiscoveryRefused(f"the file {self._path}: status {reply.status}", status=reply.status)
        version = reply.header(_VERSION)
        state = FileState.from_text(version)
        if before is not None and self._may_be_half_written(state, known, context.unix_time):
            return replace(before, ask_again_in=min(self._check_every, _QUIET))
        try:
            snapshot = read_entries(reply.content, self._form, self._server_name)
        except DiscoveryUnreadable as error:
            raise DiscoveryUnreadable(f"the file {self._path} cannot be used: {error}") from None
        return replace(snapshot, version=version, ask_again_in=self._check_every)

    def _may_be_half_written(self, state: FileState | None, known: FileState | None, unix_time: float) -> bool:
        if self._form == "json" or state is None or known is None or state == known:
            return False
        # A time in the future says nothing.
        return state.is_same_file(known) and 0 <= state.rested(unix_time) < _QUIET

    def __repr__(self) -> str:
        return f"<FileDiscovery {self._path}>"


def read_if_changed(path: Path, known: FileState | None) -> Reply:
    """What stands in the file, with its state as header `version`; status 304 if its state is `known`.

    Raises:
        OSError: It cannot be read.
        DiscoveryError: It is no file that has an end: a folder, a pipe.
    """
    status = path.stat()
    if known is not None and FileState.of(status) == known:
        return Reply(UNCHANGED)
    if not stat.S_ISREG(status.st_mode):
        raise DiscoveryError(f"{path} is not a regular file. Next: name the file that holds the list")
    with path.open("rb") as file:
        content = file.read(_MAX_BYTES + 1)
        # After the reading: who wrote meanwhile is seen in this state, or in the next one.
        state = FileState.of(os.fstat(file.fileno()))
    return Reply(200, ((_VERSION, str(state)),), content)
