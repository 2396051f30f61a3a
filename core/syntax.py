"""What HTTP/1.1 allows in a method, a target and a header field (RFC 9110, 5; RFC 9112, 3).

Checked before anything is sent, because a line break in a header value would begin a second request.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from .errors import InvalidRequestError

__all__ = ["check_headers", "check_method", "check_target", "header_line", "is_token"]

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_TARGET = re.compile(r'[!"$-~]+')
_VALUE = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f]*")


def check_method(method: str) -> None:
    """See that a method is a token.

    Raises:
        InvalidRequestError: It is not.
    """
    if not _TOKEN.fullmatch(method):
        raise InvalidRequestError(f"method {method[:40]!r} is not a token such as POST")


def check_target(target: str) -> None:
    """See that a request target holds visible ASCII characters only, and no fragment.

    Raises:
        InvalidRequestError: It does not. The text does not show it: a query may hold a secret.
    """
    if not _TARGET.fullmatch(target):
        raise InvalidRequestError(
            "the path holds a space, a '#', a control character or one that is not ASCII\nNext: percent-encode it."
        )


def check_headers(headers: Iterable[tuple[str, str]]) -> None:
    """See that header fields can be sent: names are tokens; values have no control characters (a tab is
    none) and fit into Latin-1.

    Raises:
        InvalidRequestError: One cannot. The text names the field, never its value.
    """
    for name, value in headers:
        if not _TOKEN.fullmatch(name):
            raise InvalidRequestError(f"header name {name[:40]!r} is not a token")
        if not _VALUE.fullmatch(value):
            raise InvalidRequestError(
                f"header {name!r} has a value with a line break, NUL or another control character"
            )
        try:
            value.encode("latin-1")
        except UnicodeEncodeError:
            raise InvalidRequestError(f"header {name!r} has a value with a character outside Latin-1") from None


def is_token(name: str) -> bool:
    """Whether this can be the name of a header field."""
    return _TOKEN.fullmatch(name) is not None


def header_line(name: str, value: str) -> str:
    """A header field as it is sent, line break included.

    Raises:
        InvalidRequestError: See `check_headers`.
    """
    # These two say yes at a fifth of the cost of the pattern; what they do not like (a tab, say) is looked at closely.
    if not (value.isascii() and value.isprintable() and _TOKEN.fullmatch(name)):
        check_headers(((name, value),))
    return f"{name}: {value}\r\n"
