"""What is read on this machine: environment variables and files, as questions of a conversation.

They are read when a credential is needed, not when the configuration is loaded: whoever starts the program may set them
as late as Huawei's own SDKs allow, and a file that was replaced is read anew.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

from ...core.errors import DiscoveryUnreadable
from ...core.interfaces import LocalQuery
from ...core.message import Reply
from .grants import Steps

__all__ = ["read_file", "read_variables"]

_MAX_BYTES = 64 * 1024


def read_variables(names: Sequence[str], *, why: str) -> Steps[Mapping[str, str]]:
    """Those of the environment variables that are set and not empty.

    Args:
        names: Which.
        why: What they are for, for error texts.
    """

    def run() -> Reply:
        return Reply(200, content=json.dumps({name: os.environ.get(name, "") for name in names}).encode())

    reply = yield LocalQuery(f"the environment variables of {why}", run)
    values = cast("dict[str, str]", reply.json())
    return {name: values[name] for name in names if values.get(name)}


def read_file(path: str) -> Steps[str]:
    """The text of a file; `~` is the home folder.

    Raises:
        TransportError: It cannot be read.
        DiscoveryUnreadable: It is too large, or not UTF-8 text.
    """

    def run() -> Reply:
        try:
            with Path(path).expanduser().open("rb") as file:
                return Reply(200, content=file.read(_MAX_BYTES + 1))
        except (RuntimeError, ValueError):  # no home folder for `~`, or a NUL character
            raise FileNotFoundError(errno.ENOENT, "this is not a path") from None

    reply = yield LocalQuery(f"the file {path}", run)
    if len(reply.content) > _MAX_BYTES:
        raise DiscoveryUnreadable(f"the file {path} is larger than {_MAX_BYTES // 1024} KiB")
    try:
        return reply.content.decode("utf-8-sig")
    except UnicodeDecodeError:
        pass
    # Outside of the handler: the decoder's error carries the bytes.
    raise DiscoveryUnreadable(f"the file {path} is not UTF-8 text")
