"""Secrets in settings: given by reference, revealed only where they are sent.

A secret is written as `${NAME}` (an environment variable), as `file:PATH` (the content of a file, without the line end)
or, for tests, as it is. Its value never stands in a repr, an error, a log line, a dump or an equality message.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self, final

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationInfo
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

__all__ = ["FILE_PREFIX", "MASK", "Referenced", "Secret", "SecretContext"]

MASK: Final = "***"
FILE_PREFIX: Final = "file:"
_MAX_FILE_BYTES = 64 * 1024
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class Referenced(str):
    """A text in which the configuration loader has replaced `${NAME}`: it remembers what was written."""

    __slots__ = ("reference",)
    reference: str

    def __new__(cls, value: str, reference: str) -> Self:
        text = super().__new__(cls, value)
        text.reference = reference
        return text

    def __reduce__(self) -> tuple[type[Referenced], tuple[str, str]]:
        return Referenced, (str(self), self.reference)


@dataclass(frozen=True, slots=True)
class SecretContext:
    """What the reader of a configuration file tells its secrets; it is given to pydantic as `context`.

    Args:
        folder: Where relative paths of secret files begin.
    """

    folder: Path


@final
class Secret:
    """A value that must not be seen.

    Args:
        value: The secret itself.
        reference: Where it came from, such as `${EAS_TOKEN}`; None if it was written as it is.
    """

    __slots__ = ("_value", "reference")

    def __init__(self, value: str, reference: str | None = None) -> None:
        self._value = value
        self.reference: str | None = reference

    def reveal(self) -> str:
        """The value. Call this only where it is sent or signed with."""
        return self._value

    @property
    def is_literal(self) -> bool:
        """Whether the secret itself stands in the configuration."""
        return self.reference is None

    def fingerprint(self) -> str:
        """A short text that is equal for equal secrets and does not tell the secret.

        For identities inside one process. Do not write it down: a short secret could be found by trying.
        """
        return hashlib.blake2b(_bytes(self._value), digest_size=12, person=b"directlane").hexdigest()

    def __repr__(self) -> str:
        return f"Secret({self.reference or MASK})"

    def __str__(self) -> str:
        return self.reference or MASK

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(_bytes(self._value), _bytes(other._value))

    def __hash__(self) -> int:
        return hash(self._value)

    def __bool__(self) -> bool:
        return bool(self._value)

    def __reduce__(self) -> str | tuple[Any, ...]:  # the signature of object.__reduce__
        # A pickle or a copy on disk would hold the value in clear.
        raise TypeError("a Secret cannot be pickled: hand over the reference and resolve it again")

    def __getstate__(self) -> object:
        raise TypeError("a Secret does not give its state away")

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: object) -> Secret:
        return self

    @classmethod
    def from_text(cls, text: str, *, folder: Path | None = None) -> Secret:
        """A secret from what stands in the configuration.

        Args:
            text: `file:PATH`, or the secret itself. A `Referenced` is a file only if `file:` was written: what comes
                out of an environment variable is never taken for a path.
            folder: Where a relative path begins. Default: the working directory.

        Raises:
            ValueError: `file:` names a file that cannot be read, or the secret is empty or has a control character.
        """
        reference = text.reference if isinstance(text, Referenced) else None
        value = str(text)
        if (reference or value).startswith(FILE_PREFIX):
            reference = reference or value
            value = _read(value.removeprefix(FILE_PREFIX), folder)
        # Files and variables often end with a line end that nobody meant.
        value = value.strip("\r\n")
        place = f" ({reference})" if reference else ""
        if not value.strip():
            raise ValueError(f"the secret is empty{place}")
        if _CONTROL.search(value):
            # HTTP allows none of them in a header, and HTTP libraries quote the header that they refuse.
            raise ValueError(f"the secret has a line break or another control character{place}; is it the right one?")
        return cls(value, reference=reference)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.with_info_plain_validator_function(
            _validate,
            serialization=core_schema.plain_serializer_function_ser_schema(str, return_schema=core_schema.str_schema()),
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {
            "type": "string",
            "format": "password",
            "description": "A secret: ${NAME} (environment variable) or file:PATH.",
            "examples": ["${EAS_TOKEN}", "file:/run/secrets/eas-token"],
        }


def _validate(value: object, info: ValidationInfo) -> Secret:
    if isinstance(value, Secret):
        return value
    if not isinstance(value, str):
        raise ValueError(f"a secret is a text such as ${{NAME}} or file:PATH, not {type(value).__name__}")
    context: object = info.context
    return Secret.from_text(value, folder=context.folder if isinstance(context, SecretContext) else None)


def _bytes(value: str) -> bytes:
    # A variable that is not UTF-8 holds lone surrogates; an encoding error would carry the whole secret.
    return value.encode("utf-8", "surrogatepass")


def _read(path_text: str, folder: Path | None) -> str:
    try:
        path = (folder or Path()) / Path(path_text).expanduser()
        with path.open("rb") as file:
            data = file.read(_MAX_FILE_BYTES + 1)
    except OSError as error:
        # `from None`, here and below: the text stands by itself.
        raise ValueError(f"the secret file {path_text} cannot be read: {error.strerror}") from None
    except (RuntimeError, ValueError):
        # No home folder for `~`, or a NUL character.
        raise ValueError(f"the secret file {path_text!r} cannot be read: this is not a path") from None
    if len(data) > _MAX_FILE_BYTES:
        raise ValueError(f"the secret file {path_text} is larger than {_MAX_FILE_BYTES // 1024} KiB")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        # The error of the decoder carries the bytes.
        raise ValueError(f"the secret file {path_text} is not UTF-8 text") from None
