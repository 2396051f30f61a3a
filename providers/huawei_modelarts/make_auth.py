"""From the settings to what obtains the credential."""

from __future__ import annotations

from .agency import AgencyAuth
from .auth import Auth
from .chain import OIDC, ChainAuth
from .credentials import (
    AgencyCredential,
    AkSkCredential,
    DefaultCredential,
    EcsCredential,
    EnvironmentCredential,
    IdentityProviderCredential,
    OneCredential,
    PasswordCredential,
    PodIdentityCredential,
    ProfileCredential,
    TokenCredential,
)
from .given import AkSkAuth, TokenAuth
from .iam import IamAddress
from .identity_provider import IdentityProviderAuth
from .login import PasswordAuth
from .metadata import MetadataAuth
from .platform_clock import PlatformClock
from .pod_identity import PodIdentityAuth
from .signing import AccessKey
from .sources import EnvironmentAuth, ProfileAuth

__all__ = ["make_auth"]


def make_auth(credential: OneCredential, *, project_id: str | None, iam: IamAddress, clock: PlatformClock) -> Auth:
    """What obtains and keeps this credential.

    Args:
        credential: From the settings.
        project_id: The project that a login is for.
        iam: Where IAM is.
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
        case IdentityProviderCredential():
            return IdentityProviderAuth(credential, iam, clock)
        case PodIdentityCredential():
            return PodIdentityAuth(clock)
        case EnvironmentCredential():
            return EnvironmentAuth(iam, clock)
        case ProfileCredential():
            return ProfileAuth(credential.file, iam, clock)
        case DefaultCredential():
            sources = (
                OIDC,
                ("environment", EnvironmentAuth(iam, clock)),
                ("profile file", ProfileAuth(None, iam, clock)),
                ("ECS metadata", MetadataAuth(credential.metadata_endpoint, clock)),
                ("pod identity", PodIdentityAuth(clock)),
            )
            return ChainAuth(sources)
