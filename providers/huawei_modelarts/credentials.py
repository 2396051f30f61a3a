"""The three kinds of credential, as they stand in a configuration: values that are checked when they are made."""

from __future__ import annotations

import re
from typing import Annotated, Literal, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from ...core.fields import Secret

__all__ = ["AkSkCredential", "Credential", "HeaderSecret", "PasswordCredential", "TokenCredential", "TokenSecret"]

_ONE_WORD = re.compile(r"[\x21-\x7e]+")
_FIELD_VALUE = re.compile(r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?")

# Checked here, because an HTTP library that refuses such a value shows it in its error.


def _is_one_word(secret: Secret) -> Secret:
    if not _ONE_WORD.fullmatch(secret.reveal()):
        raise ValueError("it has a space, a line break or a character that is not ASCII, so it cannot be sent")
    return secret


def _fits_header(secret: Secret) -> Secret:
    if not _FIELD_VALUE.fullmatch(secret.reveal()):
        raise ValueError("it has a line break or a character that is not ASCII, so it cannot be sent")
    return secret


TokenSecret = Annotated[Secret, AfterValidator(_is_one_word)]
"""A secret that is sent as a header field and is one word."""

HeaderSecret = Annotated[Secret, AfterValidator(_fits_header)]
"""A secret that is sent as a header field, such as `Bearer abc`."""


class _Credential(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class TokenCredential(_Credential):
    """A ready IAM token. It ends 24 hours after it was issued at the latest and cannot be renewed here."""

    type: Literal["token"]
    token: TokenSecret = Field(
        description="A project-scoped IAM token. It ends after 24 hours: for a service that runs longer take "
        "`password` or `aksk`."
    )


class PasswordCredential(_Credential):
    """Password login of an IAM user. The token is fetched, kept, and renewed 10 minutes before its end."""

    type: Literal["password"]
    user: str = Field(min_length=1, description="Name of the IAM user. It needs programmatic access.")
    password: Secret = Field(description="Its password. A refused one is not sent again: Huawei locks accounts.")
    domain: str = Field(min_length=1, description="Name of the account that the user belongs to.")


class AkSkCredential(_Credential):
    """An access key. Every request is signed; nothing is fetched and nothing expires, unless the key is temporary."""

    type: Literal["aksk"]
    access_key: str = Field(
        pattern=r"^[\x21-\x2b\x2d-\x7e]+$", description="The access key (AK): the public half of the pair."
    )
    secret_key: Secret = Field(description="The secret key (SK).")
    security_token: TokenSecret | None = Field(
        default=None, description="Goes with a temporary pair. Default: the pair is permanent."
    )


Credential: TypeAlias = Annotated[
    TokenCredential | PasswordCredential | AkSkCredential,
    Field(discriminator="type"),
]
"""One of the three; `type` says which."""
