"""The setting `store`: one text, `kind:place`, or a URL whose scheme says the kind."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import unquote

from ..fields.secret import MASK
from ..interfaces.store import Store
from ..plugins.registry import nearest

__all__ = ["has_clear_password", "is_word", "not_an_address", "open_store", "store_pattern", "stores_by_word"]

_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_+.-]*")
_PASSWORD = re.compile(r"[^:/?#]+://[^/?#@:]*:(?P<password>[^/?#]*)@")
"""What stands between the name of a user and the host, in a URL."""

_EXAMPLES = '"sqlite:" (processes of this host) or "redis://HOST:6379/0" (several hosts)'


def is_word(text: str) -> bool:
    """Whether it can stand before the colon."""
    return _WORD.fullmatch(text) is not None


def stores_by_word(stores: Mapping[str, type[Store]]) -> dict[str, type[Store]]:
    """The stores by each word that may stand before the colon: kinds and URL schemes.

    Args:
        stores: By kind.
    """
    return {word: store for kind, store in stores.items() for word in (kind, *store.schemes)}


def store_pattern(stores: Mapping[str, type[Store]]) -> str:
    """A regular expression for texts that begin with a known word."""
    words = "|".join(re.escape(word).replace(r"\-", "-") for word in sorted(stores_by_word(stores)))
    return f"^({words}):"


def not_an_address(text: str, words: Mapping[str, type[Store]]) -> str:
    """What to say about a text that has no word and colon at its beginning. The text itself may be a secret."""
    guess = nearest(text, words) if is_word(text) else None
    if guess is not None and not words[guess].schemes:
        return f'must be "kind:place"; did you mean "{guess}:"?'
    return f'must be "kind:place", such as {_EXAMPLES}'


def open_store(store: type[Store], text: str, environment: Mapping[str, str]) -> Store:
    """The store that the text names.

    Args:
        store: What the word before the colon stands for.
        text: The whole text.
        environment: For defaults, such as the user's runtime directory.

    Raises:
        ValueError: There can be no such place. No password of the URL stands in the text.
    """
    word, _, place = text.partition(":")
    try:
        return store.open(text if word in store.schemes else place, environment)
    except ValueError as error:
        message = " ".join(str(error).split())
        found = _PASSWORD.match(text)
        password = found["password"] if found is not None else ""
        for hidden in filter(None, (password, unquote(password))):
            message = message.replace(hidden, MASK)
        raise ValueError(message or "there can be no such place") from None


def has_clear_password(written: str) -> bool:
    """Whether a URL has a password that stands in clear.

    Args:
        written: As it stands in the file, before `${NAME}` is replaced.
    """
    found = _PASSWORD.match(written)
    return found is not None and found["password"] != "" and "${" not in found["password"]
