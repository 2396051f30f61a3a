"""What the providers have in common whose instances no cloud stands in front of: a token or fixed headers in each call,
and no statuses but those of HTTP itself.

Providers do not know each other, so what several of them need stands here.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self, TypeAlias

from pydantic import AfterValidator, Field, model_validator

from ..endpoint import Endpoint
from ..fields import Secret
from ..message import Headers
from ..syntax import is_token
from .provider import Provider, Wire

__all__ = ["PlainServersProvider", "TokenScheme", "authorization"]

TokenScheme: TypeAlias = Literal["none", "bearer", "plain"]
"""`bearer`: `Authorization: Bearer {token}`; `plain`: `Authorization: {token}`; `none`: no header."""

_TAKEN = frozenset(
    {"authorization", "connection", "content-length", "expect", "host", "keep-alive", "te", "transfer-encoding"}
    | {"upgrade"}
)
_LATIN_1 = re.compile(r"[\x00-\xff]*")


def authorization(token: Secret | None, scheme: TokenScheme) -> Headers:
    """The `Authorization` header that goes with every call, if there is one."""
    if token is None or scheme == "none":
        return ()
    value = token.reveal()
    return (("Authorization", f"Bearer {value}" if scheme == "bearer" else value),)


def _sendable(headers: dict[str, Secret]) -> dict[str, Secret]:
    seen: set[str] = set()
    for name, value in headers.items():
        if not is_token(name):
            raise ValueError(f"{name[:40]!r} is not the name of a header field")
        if name.lower() == "authorization":
            raise ValueError("the header Authorization is made of `token` and `auth`: set them instead")
        if name.lower() in _TAKEN:
            raise ValueError(f"the header {name} belongs to the connection and cannot be set")
        if name.lower() in seen:
            raise ValueError(f"the header {name} is named twice; case does not matter")
        if not _LATIN_1.fullmatch(value.reveal()):
            raise ValueError(f"the value of the header {name} has a character outside Latin-1")
        seen.add(name.lower())
    return headers


class PlainServersProvider(Provider):
    """Servers of one's own. A subclass says where they are found."""

    token: Secret | None = Field(default=None, description="Sent with every call as `auth` says. Default: none.")
    auth: TokenScheme = Field(
        default="bearer",
        description="Form of the Authorization header when there is a token: bearer ('Bearer {token}') or plain "
        "('{token}'). none: no header. Default: bearer, which most model servers expect.",
    )
    headers: Annotated[dict[str, Secret], AfterValidator(_sendable)] = Field(
        default_factory=dict[str, Secret],
        description='More header fields for every call, such as `{ X-Api-Key = "${MY_KEY}" }`. They are treated as '
        "secrets. Default: none.",
    )

    @model_validator(mode="after")
    def _check_token(self) -> Self:
        if self.token is not None and self.auth == "none":
            raise ValueError('a `token` with auth = "none" is never sent; remove one of them')
        if self.token is None and self.auth != "none" and "auth" in self.model_fields_set:
            raise ValueError(f'auth = "{self.auth}" needs a `token`, such as "${{MY_TOKEN}}"')
        return self

    def wire(self, endpoint: Endpoint) -> Wire:
        """The Authorization header and the others. The path of an address is the endpoint's base path."""
        del endpoint
        more = tuple((name, value.reveal()) for name, value in self.headers.items())
        return Wire(headers=(*authorization(self.token, self.auth), *more))
