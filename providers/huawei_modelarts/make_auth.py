"""From the settings to what obtains the credential."""

from __future__ import annotations

from .auth import AkSkAuth, Auth, TokenAuth
from .chain import OIDC, POD_IDENTITY, ChainAuth
from .credentials import (
    AgencyCredential,
    AkSkCredential,
    DefaultCredential,
    EcsCredential,
    EnvironmentCredential,
    OneCredential,
    PasswordCredential,
    ProfileCredential,
    TokenCredential,
)
from .iam import IamAddress
from .login import PasswordAuth
from .metadata import MetadataAuth
from .platform_clock import PlatformClock
from .signing import AccessKey
from .sources import EnvironmentAuth, ProfileAuth
from .temporary_keys import AgencyAuth

__all__ = ["make_auth"]


def make_auth(credential: OneCredential, *, project_id: str | None, iam: IamAddress, clock: PlatformClock) -> Auth:
    """What obtains and keeps this credential.

    Args:
        credential: From the settings.
        project_id: The project that a login is for.
        iam: Used for password logins and agencies only.
        clock: The one of the route.
    """
    match credential:
        case TokenCredential():
            return TokenAuth(credential.token)
        case PasswordCredential():
            return PasswordAuth(credential, project_id, iam, clock)
        case AkSkCredential():
            return AkSkAuth(AccessKey(credential.access_key, credential.secret_key, credential.security_token))
        case AgencyCredential():
            # The one who takes the agency on is of another account than the project: a login for the account.
            source = make_auth(credential.source, project_id=None, iam=iam, clock=clock)
            return AgencyAuth(credential, source, iam, clock)
        case EcsCredential():
            return MetadataAuth(credential.metadata_endpoint, clock)
        case EnvironmentCredential():
            return EnvironmentAuth()
        case ProfileCredential():
            return ProfileAuth(credential.file)
        case DefaultCredential():
            sources = (
                OIDC,
                ("environment", EnvironmentAuth()),
                ("profile file", ProfileAuth(None)),
                ("ECS metadata", MetadataAuth(credential.metadata_endpoint, clock)),
                POD_IDENTITY,
            )
            return ChainAuth(sources)
