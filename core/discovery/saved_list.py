"""A list of endpoints as processes hand it to each other, and the name under which they do.

Nothing that could hold a secret is saved: not the body of the answer, not the sentences about what was left out, not
what else it said. The reader checks the list as if it came from the network.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Hashable, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import cast

from ..endpoint import Endpoint, Snapshot

__all__ = ["SavedListUnreadable", "pack_list", "question_name", "unpack_list"]

_FORM = 1
"""Of lists and publications. Raised when an older version would misread them."""


class SavedListUnreadable(ValueError):
    """What was saved is not a list in the form that this version knows."""


def pack_list(snapshot: Snapshot) -> bytes:
    """The endpoints of a snapshot, its version, and when it wants to be renewed."""
    entries = [_entry(endpoint) for endpoint in snapshot.endpoints]
    saved = {"form": _FORM, "endpoints": entries, "version": snapshot.version, "ask_again_in": snapshot.ask_again_in}
    return json.dumps(saved, separators=(",", ":")).encode()


def unpack_list(data: bytes) -> Snapshot:
    """What `pack_list` packed.

    Raises:
        SavedListUnreadable: It is something else, or a value in it is out of range.
    """
    try:
        saved = cast("object", json.loads(data))
        if not isinstance(saved, dict) or cast("dict[str, object]", saved).get("form") != _FORM:
            raise SavedListUnreadable(f"the saved list is not of form {_FORM}")
        table = cast("dict[str, object]", saved)
        entries = cast("list[dict[str, object]]", table["endpoints"])
        version, again = table["version"], table["ask_again_in"]
        if not isinstance(version, str | None) or not isinstance(again, float | int | None):
            raise SavedListUnreadable("the saved list has a field of the wrong type")
        return Snapshot(tuple(_endpoint(entry) for entry in entries), version=version, ask_again_in=again)
    except SavedListUnreadable:
        raise
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise SavedListUnreadable(f"the saved list cannot be read: {type(error).__name__}") from None


def _entry(endpoint: Endpoint) -> dict[str, object]:
    entry = {field.name: getattr(endpoint, field.name) for field in fields(Endpoint)}
    if endpoint.server_name is None:
        del entry["server_name"]  # so that processes of a version without this field can read the list
    return entry


def _endpoint(entry: Mapping[str, object]) -> Endpoint:
    texts, may_be_none = ("host", "scheme", "base_path", "id"), (entry["zone"], entry.get("server_name"))
    if not all(isinstance(entry[name], str) for name in texts) or not all(
        isinstance(value, str | None) for value in may_be_none
    ):
        raise SavedListUnreadable("an endpoint of the saved list has a field of the wrong type")
    labels = cast("Mapping[object, object]", entry["labels"])
    if not all(isinstance(text, str) for pair in labels.items() for text in pair):
        raise SavedListUnreadable("an endpoint of the saved list has labels that are not text")
    return Endpoint(**entry)  # type: ignore[arg-type]  # checked here and by `Endpoint`


def question_name(identity: Hashable) -> str | None:
    """The name of a question, equal in all processes that ask it; None if it has none that could be.

    An identity may hold the fingerprint of a secret, and a short secret can be found by trying. So the name is the
    result of scrypt (16 MiB and some 50 ms each), not of a plain hash. It is made once for a poller, not in its loop.
    Versions of directlane that save lists in another form have another name for it: they do not read each other's.
    """
    try:
        text = json.dumps(_plain(identity), separators=(",", ":"))
    except TypeError:
        return None
    salt = f"directlane/question/{_FORM}".encode()
    return "question/" + hashlib.scrypt(text.encode(), salt=salt, n=2**14, r=8, p=1, dklen=16).hex()


def _plain(value: object) -> object:
    """The value in lists and texts, with the types told apart; `TypeError` for what is of one process only."""
    if isinstance(value, Enum):
        return [type(value).__qualname__, value.name]
    if value is None or isinstance(value, bool | int | float | str):
        return [type(value).__name__, value]
    if isinstance(value, bytes):
        return ["bytes", value.hex()]
    if isinstance(value, tuple | list):
        return ["list", *(_plain(item) for item in cast("tuple[object, ...]", value))]
    if isinstance(value, Mapping):
        pairs = [[_plain(key), _plain(item)] for key, item in cast("Mapping[object, object]", value).items()]
        return ["map", *sorted(pairs, key=repr)]
    if isinstance(value, set | frozenset):
        return ["set", *sorted((_plain(item) for item in cast("frozenset[object]", value)), key=repr)]
    if is_dataclass(value) and not isinstance(value, type):
        return [type(value).__qualname__, *(_plain(getattr(value, field.name)) for field in fields(value))]
    raise TypeError(type(value).__name__)
