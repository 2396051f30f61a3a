"""The kinds of credential, as they stand in a configuration: values that are checked when they are made."""

from __future__ import annotations

import re
from typing import Annotated, ClassVar, Literal, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field, Tag

from ...core.fields import Duration, Secret
from .urls import Origin

__all__ = [
    "ID_TOKEN_KEY_LIFE",
    "METADATA_SERVER",
    "AgencyCredential",
    "AkSkCredential",
    "Credential",
    "DefaultCredential",
    "EcsCredential",
    "EnvironmentCredential",
    "HeaderSecret",
    "IdentityProviderCredential",
    "OneCredential",
    "PasswordCredential",
    "PodIdentityCredential",
    "ProfileCredential",
    "TokenCredential",
    "TokenSecret",
]

METADATA_SERVER = "http://169.254.169.254"
"""Where every ECS finds its metadata server."""

ID_TOKEN_KEY_LIFE = 21_600.0
"""Seconds for which Huawei's own package wants a key for an id token."""

_MOST_USERS = 16
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


def _issuable(seconds: float) -> float:
    if not 900 <= seconds <= 86_400:
        raise ValueError("Huawei gives temporary keys for 15 minutes to 24 hours")
    return seconds


TokenSecret = Annotated[Secret, AfterValidator(_is_one_word)]
"""A secret that is sent as a header field and is one word."""

HeaderSecret = Annotated[Secret, AfterValidator(_fits_header)]
"""A secret that is sent as a header field, such as `Bearer abc`."""


class _Credential(BaseModel):
    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class TokenCredential(_Credential):
    """A ready IAM token. It ends 24 hours after it was issued at the latest and cannot be renewed here."""

    type: Literal["token"]
    token: TokenSecret = Field(
        description="A project-scoped IAM token. It ends after 24 hours: for a service that runs longer take "
        "`password` or `aksk`."
    )


class PasswordCredential(_Credential):
    """Password login of an IAM user. The token is fetched, kept, and renewed 40 minutes before its end."""

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


class AgencyCredential(_Credential):
    """An agency of another account (assume role). IAM gives a temporary access key, which is renewed before its end."""

    type: Literal["agency"]
    agency: str = Field(min_length=1, description="Name of the agency.")
    domain: str = Field(min_length=1, description="Name of the account that created the agency and owns the project.")
    source: Annotated[TokenCredential | PasswordCredential | AkSkCredential, Field(discriminator="type")] = Field(
        description="Who takes the agency on: a table with `type` aksk, password or token. That user needs the "
        "permission Agent Operator."
    )
    duration: Annotated[Duration, AfterValidator(_issuable)] = Field(
        default=3600.0, description='How long each temporary key lives, "15m" to "24h". Default: "1h".'
    )


class EcsCredential(_Credential):
    """The agency that is bound to the ECS we run on: temporary keys from its metadata server, which needs no secret."""

    type: Literal["ecs"]
    metadata_endpoint: Origin = Field(
        default=METADATA_SERVER, description="Origin of the metadata server. Default: the one of every ECS."
    )


class IdentityProviderCredential(_Credential):
    """An identity provider that is known to IAM (OpenID Connect): its id token, from a file, for a temporary key."""

    type: Literal["identity_provider"]
    idp_id: str = Field(pattern=r"^[\x21-\x7e]+$", description="The identity provider, as it is called in IAM.")
    id_token_file: str = Field(
        min_length=1,
        description="The file with the id token; `~` is the home folder. It is read each time that a key is fetched.",
    )
    duration: Annotated[Duration, AfterValidator(_issuable)] = Field(
        default=ID_TOKEN_KEY_LIFE, description='How long each temporary key lives, "15m" to "24h". Default: "6h".'
    )


class PodIdentityCredential(_Credential):
    """The agency of the service account of a pod in CCE: temporary keys from an agent, which CCE's variables name."""

    type: Literal["pod_identity"]


class EnvironmentCredential(_Credential):
    """The variables of Huawei's own SDKs, such as `HUAWEICLOUD_SDK_AK`; read when the credential is first needed."""

    type: Literal["environment"]


class ProfileCredential(_Credential):
    """The profile file of Huawei's own SDKs, section `[basic]`; read when first needed, and after a refusal."""

    type: Literal["profile"]
    file: str | None = Field(
        default=None,
        min_length=1,
        description="The file; `~` is the home folder. Default: what the variable `HUAWEICLOUD_SDK_CREDENTIALS_FILE` "
        "says, or `~/.huaweicloud/credentials`.",
    )


class DefaultCredential(_Credential):
    """The sources of Huawei's own SDKs, in their order: environment, profile file, ECS, pod. The first that is set up
    wins."""

    type: Literal["default"]
    metadata_endpoint: Origin = Field(
        default=METADATA_SERVER, description="Origin of the metadata server. Default: the one of every ECS."
    )


OneCredential: TypeAlias = Annotated[
    TokenCredential
    | PasswordCredential
    | AkSkCredential
    | AgencyCredential
    | EcsCredential
    | IdentityProviderCredential
    | PodIdentityCredential
    | EnvironmentCredential
    | ProfileCredential
    | DefaultCredential,
    Field(discriminator="type"),
]
"""`type` says which."""


def _form(value: object) -> str:
    return "several" if isinstance(value, list | tuple) else "one"


Credential: TypeAlias = Annotated[
    Annotated[OneCredential, Tag("one")]
    | Annotated[tuple[OneCredential, ...], Field(min_length=1, max_length=_MOST_USERS), Tag("several")],
    Discriminator(_form),
]
"""One, or one for each of several users."""
