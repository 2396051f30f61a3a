"""The credentials that the user has in hand: a ready token, and an access key. They need nothing from anybody."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Hashable
from dataclasses import dataclass

from ...core.fields import Secret
from .grants import Grant, KeyGrant, Obtaining, TokenGrant
from .signing import AccessKey

__all__ = ["AkSkAuth", "TokenAuth", "user_of"]


class _GivenAuth(ABC):
    """Nothing is asked, and nothing can be renewed."""

    renews = False
    credential = None
    warning = None

    @property
    @abstractmethod
    def grant(self) -> Grant: ...

    def obtain(self, unix_time: float, *, renew: bool = False) -> Obtaining:
        del unix_time, renew
        yield from ()
        return self.grant

    def seconds_to_renewal(self, unix_time: float) -> float:
        del unix_time
        return math.inf

    def secrets(self) -> tuple[str, ...]:
        return self.grant.secrets()


@dataclass(frozen=True, slots=True)
class TokenAuth(_GivenAuth):
    """Sends a token that the user has."""

    token: Secret
    label = "the ready token"
    advice = "the token has ended or is of another project or region: put a new one, or use `password` or `aksk`"

    @property
    def user(self) -> str:
        return f"token-{self.token.fingerprint()}"

    @property
    def identity(self) -> Hashable:
        return ("token", self.token.fingerprint())

    @property
    def grant(self) -> Grant:
        return TokenGrant(self.token)


@dataclass(frozen=True, slots=True)
class AkSkAuth(_GivenAuth):
    """Signs with a key that the user has."""

    key: AccessKey
    advice = "check the key, project_id and the clock of this machine (15 minutes are allowed)"

    @property
    def label(self) -> str:
        return f"access key {self.key.access_key}"

    @property
    def user(self) -> str:
        return user_of(self.key)

    @property
    def identity(self) -> Hashable:
        token = self.key.security_token
        return (
            "aksk",
            self.key.access_key,
            self.key.secret_key.fingerprint(),
            token.fingerprint() if token is not None else "",
        )

    @property
    def grant(self) -> Grant:
        return KeyGrant(self.key)


def user_of(key: AccessKey) -> str:
    """Who is limited when this key is used. Not the key itself."""
    return f"key-{Secret(key.access_key).fingerprint()}"
