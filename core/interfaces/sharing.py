"""What a discovery may say about sharing its answers with other processes. Each of these is optional.

A discovery that has none of these attributes is shared by its identity, whenever a store is configured.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Protocol, runtime_checkable

__all__ = ["HasCredential", "MayBeLocal"]


@runtime_checkable
class HasCredential(Protocol):
    """A discovery with a credential that can be refused for good: some platforms lock an account after a few logins
    with a wrong password, so what one process was told is told to all."""

    @property
    def credential(self) -> Hashable | None:
        """Equal for equal credentials, holds no secret in clear; None if nothing can be refused for good."""
        ...


@runtime_checkable
class MayBeLocal(Protocol):
    """A discovery whose answers may be true for this machine only, such as one that reads a file."""

    @property
    def is_local(self) -> bool:
        """Whether another machine may get another answer. Then the answers are not shared; rate limits still are."""
        ...
