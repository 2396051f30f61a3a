"""What the name of a new provider becomes elsewhere. Pure.

`copier.yml` makes the same names by itself, so that `copier copy` needs no code of ours; a test holds the two together.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["MAX_LENGTH", "Names", "names_of"]

MAX_LENGTH = 24
"""A name may have so many characters."""

_WORD = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")


@dataclass(frozen=True, slots=True)
class Names:
    """The names of one provider.

    Args:
        kind: As it stands in configuration files: `my_cloud`.
    """

    kind: str

    @property
    def distribution(self) -> str:
        """As it is installed: `directlane-my-cloud`."""
        return f"directlane-{self.kind.replace('_', '-')}"

    @property
    def module(self) -> str:
        """As it is imported: `directlane_my_cloud`."""
        return f"directlane_{self.kind}"

    @property
    def prefix(self) -> str:
        """How its classes begin: `MyCloud`, as in `MyCloudProvider`."""
        return "".join(word.capitalize() for word in self.kind.split("_"))


def names_of(kind: str) -> Names:
    """The names of a provider that is to be called so.

    Raises:
        ValueError: It is not a plain word: small letters, digits and single `_`, a letter first, 24 characters at most.
            The text says what would be one, if that is near.
    """
    if len(kind) <= MAX_LENGTH and _WORD.fullmatch(kind):
        return Names(kind)
    near = re.sub(r"[^a-z0-9]+", "_", kind.lower().removeprefix("directlane")).strip("_")[:MAX_LENGTH].rstrip("_")
    hint = f"Next: take {near!r}." if _WORD.fullmatch(near) else "Next: take a word such as 'acme' or 'my_cloud'."
    raise ValueError(
        f"{kind!r} is not a plain word: small letters, digits and single '_', a letter first, "
        f"{MAX_LENGTH} characters at most\n{hint}"
    )
