"""What all credentials have in common that are fetched, kept and renewed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable

from .grants import Grant, Obtaining, Steps
from .renewal import Fetched, Renewal

__all__ = ["FetchedAuth"]


class FetchedAuth(ABC):
    """An `Auth` whose grants are fetched. Its state is that of its `Renewal`.

    Args:
        label: See `Auth`, as for all of these.
        user: Of it, unless that is known only with a grant.
        identity: Of it.
        advice: Of it.
        credential: Of it. Default: nothing can be refused for good.
    """

    renews = True

    def __init__(
        self, *, label: str, user: str, identity: Hashable, advice: str, credential: Hashable | None = None
    ) -> None:
        self.label = label
        self.identity: Hashable = identity
        self.credential: Hashable | None = credential
        self.advice = advice
        self._user = user
        self._renewal = Renewal(self._fetch)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.user}, {self._renewal}>"

    @property
    def user(self) -> str:
        return self._user

    @property
    def grant(self) -> Grant | None:
        return self._renewal.grant

    @property
    def warning(self) -> str | None:
        trouble = self._renewal.trouble
        return None if trouble is None else f"{self.label} cannot be renewed, and is used until it ends: {trouble}"

    def obtain(self, unix_time: float, *, renew: bool = False) -> Obtaining:
        return self._renewal.obtain(unix_time, renew=renew)

    def seconds_to_renewal(self, unix_time: float) -> float:
        return self._renewal.seconds_to_renewal(unix_time)

    def secrets(self) -> tuple[str, ...]:
        grant = self.grant
        return (*self._own_secrets(), *(() if grant is None else grant.secrets()))

    def _own_secrets(self) -> tuple[str, ...]:
        """What a grant is fetched with."""
        return ()

    @abstractmethod
    def _fetch(self, unix_time: float) -> Steps[Fetched]:
        """Fetch a grant.

        Raises:
            CredentialError: There is none. Permanent if asking again would be pointless or harmful.
            DiscoveryError, TransportError: It cannot be had now.
        """
