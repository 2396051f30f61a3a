"""Who is who in the emulated cloud, and what stands in a configuration for each kind of credential. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, TypeAlias

from .emulated_federation import IDP_ID, POD_PATH
from .emulated_files import EmulatedFiles
from .emulated_iam import EmulatedUser

__all__ = [
    "ACCESS_KEY",
    "AGENCY",
    "DOMAIN",
    "PROJECT_ID",
    "REGION",
    "USER",
    "CredentialType",
    "credential_settings",
    "credential_variables",
    "emulated_partner",
    "emulated_user",
    "profile_text",
]

CredentialType: TypeAlias = Literal[
    "password",
    "token",
    "aksk",
    "agency",
    "ecs",
    "identity_provider",
    "pod_identity",
    "environment",
    "profile",
    "default",
    "users",
]
"""The types of the settings; `users` is a list with a password for each user."""

REGION = "cn-emulated-1"
PROJECT_ID = "0123456789abcdef0123456789abcdef"
USER, DOMAIN = "emulated-user", "emulated-account"
ACCESS_KEY = "EMULATEDACCESSKEY"
AGENCY = "emulated-agency"

_PREFIX = "EMULATED_MODELARTS_"


def emulated_user(number: int, security_token: str | None = None) -> EmulatedUser:
    """A user of the account that owns the services; 0 is `USER`."""
    end = f"-{number + 1}" if number else ""
    key = f"{ACCESS_KEY}{number + 1}" if number else ACCESS_KEY
    return EmulatedUser(USER + end, DOMAIN, f"emulated-password{end}", key, f"emulated-secret-key{end}", security_token)


def emulated_partner() -> EmulatedUser:
    """A user of another account, who may take the agency on."""
    name = "emulated-partner"
    return EmulatedUser(name, f"{name}-account", f"{name}-password", "EMULATEDPARTNERKEY", f"{name}-secret-key")


def credential_settings(
    credential: CredentialType, users: Sequence[EmulatedUser], partner: EmulatedUser, *, url: str, files: EmulatedFiles
) -> object:
    """What stands in a configuration as `credential`; secrets as references.

    Args:
        credential: Which kind.
        users: The users of the account.
        partner: Who takes the agency on.
        url: Origin of the metadata server.
        files: Where profile and id token stand.
    """
    match credential:
        case "password":
            return _password(users[0], 0)
        case "users":
            return [_password(user, number) for number, user in enumerate(users)]
        case "token":
            return {"type": "token", "token": _reference("TOKEN")}
        case "aksk":
            return _key(users[0], "SECRET_KEY")
        case "agency":
            source = _key(partner, "PARTNER_SECRET_KEY")
            return {"type": "agency", "agency": AGENCY, "domain": DOMAIN, "source": source}
        case "ecs" | "default":
            return {"type": credential, "metadata_endpoint": url}
        case "identity_provider":
            return {"type": "identity_provider", "idp_id": IDP_ID, "id_token_file": str(files.id_token)}
        case "environment" | "pod_identity":
            return {"type": credential}
        case "profile":
            return {"type": "profile", "file": str(files.profile)}


def credential_variables(
    credential: CredentialType,
    users: Sequence[EmulatedUser],
    partner: EmulatedUser,
    *,
    token: str,
    url: str,
    files: EmulatedFiles,
) -> dict[str, str]:
    """The environment variables that `credential_settings` refers to, or that are read themselves.

    Args:
        credential: Which kind.
        users: The users of the account.
        partner: Who takes the agency on.
        token: The ready token.
        url: Origin of the pod's agent.
        files: Where the id token stands.
    """
    first = users[0]
    match credential:
        case "password":
            return {f"{_PREFIX}PASSWORD": first.password}
        case "users":
            return {f"{_PREFIX}PASSWORD{_end(number)}": user.password for number, user in enumerate(users)}
        case "token":
            return {f"{_PREFIX}TOKEN": token}
        case "aksk":
            given = {f"{_PREFIX}SECRET_KEY": first.secret_key}
            return given if first.security_token is None else given | {f"{_PREFIX}SECURITY_TOKEN": first.security_token}
        case "agency":
            return {f"{_PREFIX}PARTNER_SECRET_KEY": partner.secret_key}
        case "environment":
            return {
                "HUAWEICLOUD_SDK_AK": first.access_key,
                "HUAWEICLOUD_SDK_SK": first.secret_key,
                "HUAWEICLOUD_SDK_PROJECT_ID": PROJECT_ID,
            }
        case "pod_identity":
            return {
                "HC_CONTAINER_CREDENTIALS_FULL_URI": url + POD_PATH,
                "HC_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(files.id_token),
            }
        case "ecs" | "default" | "profile" | "identity_provider":
            return {}


def profile_text(user: EmulatedUser) -> str:
    """A profile file, as Huawei's own SDKs read it."""
    lines = ["[basic]", f"ak = {user.access_key}", f"sk = {user.secret_key}", f"project_id = {PROJECT_ID}"]
    return "\n".join([*lines, ""])


def _password(user: EmulatedUser, number: int) -> Mapping[str, object]:
    reference = _reference(f"PASSWORD{_end(number)}")
    return {"type": "password", "user": user.name, "password": reference, "domain": user.domain}


def _key(user: EmulatedUser, variable: str) -> Mapping[str, object]:
    table = {"type": "aksk", "access_key": user.access_key, "secret_key": _reference(variable)}
    return table if user.security_token is None else table | {"security_token": _reference("SECURITY_TOKEN")}


def _end(number: int) -> str:
    return f"_{number + 1}" if number else ""


def _reference(name: str) -> str:
    return f"${{{_PREFIX}{name}}}"
