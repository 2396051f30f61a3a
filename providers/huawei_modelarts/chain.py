"""The credential type `default`: the sources of Huawei's own SDKs in their order; the first that yields wins.

The order is that of `huaweicloudsdkcore` (a test compares it with the package): OIDC, environment, profile file, ECS
metadata, pod identity. The SDKs stop at the first that is set up, whatever comes of it, and so do we: with another
credential than expected, calls would run as somebody else. OIDC is not supported: if its variables are set, that is an
error.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Protocol

from ...core.errors import CredentialError, DiscoveryError, TransportError, headline
from .auth import Auth
from .grants import Grant, Obtaining, Steps
from .local_sources import read_variables

__all__ = ["OIDC", "ChainAuth", "ChainSource", "Unsupported"]


class ChainSource(Auth, Protocol):
    """What the chain asks."""

    @property
    def is_set_up(self) -> bool:
        """Whether the SDKs would stop here, though it does not yield; known when it was asked."""
        ...


@dataclass(frozen=True, slots=True)
class Unsupported:
    """A source that Huawei's own SDKs have and we do not.

    Args:
        name: For people.
        needed: Groups of variables: the source is in use if each group has one that is set.
    """

    name: str
    needed: tuple[tuple[str, ...], ...]

    def check(self) -> Steps[str]:
        """Why the source does not yield.

        Raises:
            CredentialError: It is in use.
        """
        names = [name for group in self.needed for name in group]
        values = yield from read_variables(names, why=self.name)
        missing = [" or ".join(group) for group in self.needed if not any(name in values for name in group)]
        if missing:
            return f"{missing[0]} is not set"
        raise CredentialError(
            f"the variables of {self.name} are set ({', '.join(sorted(values))}), which is not supported here; in "
            "Huawei's own SDKs it would be used now. Next: name the credential that you want with another `type`, "
            "such as environment, profile or ecs"
        )


OIDC = Unsupported(
    "OIDC",
    (
        ("HUAWEICLOUD_OIDC_PROVIDER_URN",),
        ("HUAWEICLOUD_OIDC_AGENCY_URN",),
        ("HUAWEICLOUD_OIDC_ID_TOKEN", "HUAWEICLOUD_OIDC_TOKEN_FILE"),
    ),
)


class ChainAuth:
    """Asks one source after the other; stays with the one that yielded, so that nobody becomes somebody else later.

    Mutable state: that source.

    Args:
        sources: In their order, with names for people.
    """

    renews = True
    credential = None

    def __init__(self, sources: Sequence[tuple[str, ChainSource] | Unsupported]) -> None:
        self._sources = tuple(sources)
        self._winner: Auth | None = None

    def __repr__(self) -> str:
        return f"<ChainAuth {self._winner or 'no source yet'}>"

    @property
    def label(self) -> str:
        return self._winner.label if self._winner is not None else "the default credential"

    @property
    def user(self) -> str:
        return self._winner.user if self._winner is not None else "default"

    @property
    def identity(self) -> Hashable:
        return ("default", *(source[1].identity for source in self._sources if not isinstance(source, Unsupported)))

    @property
    def advice(self) -> str:
        return self._winner.advice if self._winner is not None else "name the credential with another `type`"

    @property
    def grant(self) -> Grant | None:
        return self._winner.grant if self._winner is not None else None

    @property
    def warning(self) -> str | None:
        return self._winner.warning if self._winner is not None else None

    def obtain(self, unix_time: float, *, renew: bool = False) -> Obtaining:
        if self._winner is not None:
            return (yield from self._winner.obtain(unix_time, renew=renew))
        reasons: list[str] = []
        for source in self._sources:
            if isinstance(source, Unsupported):
                reasons.append(f"{source.name}: {(yield from source.check())}")
                continue
            name, auth = source
            try:
                grant = yield from auth.obtain(unix_time)
            except (DiscoveryError, TransportError) as error:
                if auth.is_set_up:
                    raise
                reasons.append(f"{name}: {headline(error)}")
            else:
                self._winner = auth
                return grant
        raise CredentialError(
            f"no source has a credential ({'; '.join(reasons)}). "
            "Next: set up one of them, or name the credential with another `type`"
        )

    def seconds_to_renewal(self, unix_time: float) -> float:
        return self._winner.seconds_to_renewal(unix_time) if self._winner is not None else 0.0

    def secrets(self) -> tuple[str, ...]:
        return self._winner.secrets() if self._winner is not None else ()
