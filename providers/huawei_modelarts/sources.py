"""The two sources of Huawei's own SDKs that are read on this machine: environment variables and the profile file.

Names and rules are those of Huawei's package `huaweicloudsdkcore`: an identity provider (`idp_id` and `id_token_file`)
wins over a key, and of the profile file we read the section for services of a project, `[basic]`.
"""

from __future__ import annotations

import configparser
from abc import abstractmethod
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, replace
from pathlib import PurePath

from ...core.errors import CredentialError, TransportError, headline
from .credentials import ID_TOKEN_KEY_LIFE
from .fetched_auth import FetchedAuth
from .given import user_of
from .grants import KeyGrant, Steps
from .iam import IamAddress
from .identity_provider import IdTokenExchange
from .local_sources import read_file, read_variables
from .platform_clock import PlatformClock
from .renewal import Fetched
from .signing import AccessKey
from .temporary_keys import as_key
from .urls import is_path_segment, origin_or_none

__all__ = ["EnvironmentAuth", "ProfileAuth"]

_PREFIX = "HUAWEICLOUD_SDK_"
_FIELDS = ("ak", "sk", "security_token", "project_id", "idp_id", "id_token_file")
_VARIABLES = {field: f"{_PREFIX}{field.upper()}" for field in _FIELDS}
_IAM_ENDPOINT = "iam_endpoint"
_FILE_VARIABLE = f"{_PREFIX}CREDENTIALS_FILE"
_USUAL_FILE = (".huaweicloud", "credentials")
_SECTION = "basic"


@dataclass(frozen=True, slots=True)
class _Said:
    """What a source says.

    Args:
        values: By field.
        where: The source, for people.
        names: How the source calls the fields.
    """

    values: Mapping[str, str]
    where: str
    names: Mapping[str, str]

    def has(self, *fields: str) -> bool:
        return all(self.values.get(field) for field in fields)


class _Source(FetchedAuth):
    """Reads a source, and again after a refusal; an identity provider that it names is asked.

    Mutable state besides that of its base: whether the source was found set up, and the identity provider in use.

    Args:
        kind: `environment` or `profile`.
        name: For people.
        advice: See `Auth`.
        iam: Where identity providers are asked.
        clock: Learns from the answers, and dates the signatures.
    """

    def __init__(self, kind: Hashable, name: str, advice: str, iam: IamAddress, clock: PlatformClock) -> None:
        super().__init__(label=f"the credential of {name}", user=str(kind), identity=(kind, str(iam)), advice=advice)
        self._iam = iam
        self._clock = clock
        self._exchange: IdTokenExchange | None = None
        self.is_set_up: bool = False

    @property
    def user(self) -> str:
        if self._exchange is not None:
            return self._exchange.user
        return user_of(self.grant.key) if isinstance(self.grant, KeyGrant) else self._user

    def _own_secrets(self) -> tuple[str, ...]:
        return self._exchange.secrets() if self._exchange is not None else ()

    def _fetch(self, unix_time: float) -> Steps[Fetched]:
        self.is_set_up = False
        said = yield from self._read()
        is_provider = said.has("idp_id", "id_token_file")
        self.is_set_up = is_provider or said.has("ak", "sk")
        project_id = _project_id(said)
        if not is_provider:
            self._exchange = None
            return Fetched(KeyGrant(_key(said), project_id), is_local=True)
        fetched = yield from self._exchange_for(said).fetch(unix_time)
        assert isinstance(fetched.grant, KeyGrant)  # noqa: S101 - an exchange gives nothing else
        return replace(fetched, grant=replace(fetched.grant, project_id=project_id))

    def _exchange_for(self, said: _Said) -> IdTokenExchange:
        iam = self._iam
        told = said.values.get(_IAM_ENDPOINT)
        if told and iam.configured is None:
            origin = origin_or_none(told)
            if origin is None:
                raise CredentialError(
                    f"{_IAM_ENDPOINT} in {said.where} is not the address of IAM. "
                    "Next: write it like https://iam.cn-north-4.myhuaweicloud.com"
                )
            iam = IamAddress(origin, iam.region)
        values = said.values
        exchange = IdTokenExchange(values["idp_id"], values["id_token_file"], ID_TOKEN_KEY_LIFE, iam, self._clock)
        self._exchange = exchange
        return exchange

    @abstractmethod
    def _read(self) -> Steps[_Said]: ...


class EnvironmentAuth(_Source):
    """The variables `HUAWEICLOUD_SDK_AK`, `_SK`, `_SECURITY_TOKEN`, `_PROJECT_ID`, `_IDP_ID` and `_ID_TOKEN_FILE`.

    Args:
        iam: Where identity providers are asked.
        clock: Learns from the answers, and dates the signatures.
    """

    def __init__(self, iam: IamAddress, clock: PlatformClock) -> None:
        advice = f"check the variables that begin with {_PREFIX}, project_id and the clock of this machine"
        super().__init__("environment", "the environment", advice, iam, clock)

    def _read(self) -> Steps[_Said]:
        values = yield from read_variables(tuple(_VARIABLES.values()), why="the credential")
        said = {field: values[name] for field, name in _VARIABLES.items() if name in values}
        return _Said(said, "the environment", _VARIABLES)


class ProfileAuth(_Source):
    """The profile file, section `[basic]`.

    Args:
        file: Which; None for the usual one.
        iam: Where identity providers are asked, unless the file says another place.
        clock: Learns from the answers, and dates the signatures.
    """

    def __init__(self, file: str | None, iam: IamAddress, clock: PlatformClock) -> None:
        advice = "check `ak` and `sk` in the profile file, project_id and the clock of this machine"
        super().__init__(("profile", file), "the profile file", advice, iam, clock)
        self._file = file

    def _read(self) -> Steps[_Said]:
        path = self._file or (yield from _usual_file())
        try:
            text = yield from read_file(path)
        except TransportError as error:
            raise CredentialError(f"{headline(error)}. Next: {_NEXT_FILE}") from None
        return _Said(_section(text, path), f"the file {path}", {field: field for field in _FIELDS})


_NEXT_FILE = f"write the file, or name another one with `file` or the variable {_FILE_VARIABLE}"


def _usual_file() -> Steps[str]:
    values = yield from read_variables((_FILE_VARIABLE, "HOME"), why="the profile file")
    named = values.get(_FILE_VARIABLE)
    return named or str(PurePath(values.get("HOME", "~"), *_USUAL_FILE))


def _section(text: str, path: str) -> Mapping[str, str]:
    """The entries of `[basic]`.

    Raises:
        CredentialError: There is none, or the file is not of this form. Nothing of it is quoted: it holds secrets.
    """
    parser = configparser.ConfigParser()
    try:
        parser.read_string(text)
        return dict(parser.items(_SECTION))
    except configparser.NoSectionError:
        reason = f"has no section [{_SECTION}]"
    except configparser.Error as error:
        reason = f"cannot be read as an INI file ({type(error).__name__}; a `%` is written `%%`)"
    # Outside of the handlers: the error that is raised must not carry the parser's, which quotes the file.
    raise CredentialError(f"the file {path} {reason}. Next: write [{_SECTION}] with `ak` and `sk`")


def _key(said: _Said) -> AccessKey:
    """The key that a source holds.

    Raises:
        CredentialError: It holds none, or one that cannot be sent.
    """
    missing = [said.names[field] for field in ("ak", "sk") if not said.has(field)]
    if missing:
        raise CredentialError(f"{said.where} has no {' and no '.join(missing)}. Next: set {' and '.join(missing)}")
    key = as_key(said.values["ak"], said.values["sk"], said.values.get("security_token", ""))
    if key is None:
        raise CredentialError(
            f"the key in {said.where} has a character that cannot be sent. "
            "Next: look for spaces, commas and line breaks"
        )
    return key


def _project_id(said: _Said) -> str | None:
    project_id = said.values.get("project_id") or None
    if project_id is not None and not is_path_segment(project_id):
        raise CredentialError(
            f"{said.names['project_id']} in {said.where} is not the id of a project. Next: correct it"
        )
    return project_id
