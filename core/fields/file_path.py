"""Paths in settings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

from pydantic import AfterValidator, ValidationInfo

from .secret import SecretContext

__all__ = ["FilePath"]


def _from_folder(path: Path, info: ValidationInfo) -> Path:
    if "\0" in str(path) or not path.name:
        raise ValueError(f"{str(path)!r} is not the path of a file")
    context: object = info.context
    try:
        path = path.expanduser()
    except RuntimeError:
        raise ValueError(f"{str(path)!r} begins with a home folder that is not known") from None
    # Absolute: the program may change its working directory.
    return ((context.folder if isinstance(context, SecretContext) else Path()) / path).absolute()


FilePath: TypeAlias = Annotated[Path, AfterValidator(_from_folder)]
"""The path of a file. A relative one begins in the folder of the configuration file; `~` is a home folder. It is made
absolute; whether the file is there is not looked at."""
