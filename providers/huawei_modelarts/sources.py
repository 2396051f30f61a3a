"""The two sources of Huawei's own SDKs that are read on this machine: environment variables and the profile file.

Names and rules are those of Huawei's package `huaweicloudsdkcore`: an identity provider (`idp_id` and `id_token_file`)
wins over a key, and of the profile file we read the section for services of a project, `[basic]`. What that package
supports and we do not is named, never skipped: with another credential than expected, calls would run as somebody else.
"""

from __future__ import annotations

import configparser
from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping
from pathlib import PurePath

from ...core.errors import CredentialError, TransportError, headline
from .auth import Grant, KeyGrant, Obtaining, Steps, user_of
from .local_sources import read_file, read_variables
from .renewal import Fetched, Renewal
from .temporary_keys import as_key
from .urls import is_path_segment

__all__ = ["EnvironmentAuth", "NotSupportedHere", "ProfileAuth"]

_PREFIX = "HUAWEICLOUD_SDK_"
_FIELDS = ("ak", "sk", "security_token", "project_id", "idp_id", "id_token_file")
_VARIABLES = {field: f"{_PREFIX}{field.upper()}" for field in _FIELDS}
_FILE_VARIABLE = f"{_PREFIX}CREDENTIALS_FILE"
_USUAL_FILE = (".huaweicloud", "credentials")
_SECTION = "basic"


class NotSupportedHere(CredentialError):
    """A source is set up that Huawei's own SDKs would use and we cannot: nobody else may take its turn."""


class _KeySource(ABC):
    """Reads a key on this machine, and again after it was refused. Its state is that of its `Renewal`."""

    renews = True
    credential = None

    def __init__(self) -> None:
        self._renewal = Renewal(self._fetch)

    @property
    def user(self) -> str:
        grant = self.grant
        return user_of(grant.key) if isinstance(grant, KeyGrant) else str(self.identity)

    @property
    @abstractmethod
    def identity(self) -> Hashable: ...

    @property
    def grant(self) -> Grant | None:
        return self._renewal.grant

    def obtain(self, unix_time: float, *, renew: bool = False) -> Obtaining:
        return self._renewal.obtain(unix_time, renew=renew)

    def seconds_to_renewal(self, unix_time: float) -> float:
        return self._renewal.seconds_to_renewal(unix_time)

    def secrets(self) -> tuple[str, ...]:
        grant = self.grant
        return () if grant is None else grant.secrets()

    @abstractmethod
    def _fetch(self, unix_time: float) -> Steps[Fetched]: ...


class EnvironmentAuth(_KeySource):
    """The variables `HUAWEICLOUD_SDK_AK`, `_SK`, `_SECURITY_TOKEN` and `_PROJECT_ID`."""

    label = "the key in the environment"
    advice: str = (
        f"check the variables {_VARIABLES['ak']} and {_VARIABLES['sk']}, project_id and the clock of this machine"
    )

    def __repr__(self) -> str:
        return f"<EnvironmentAuth {self._renewal}>"

    @property
    def identity(self) -> Hashable:
        return "environment"

    def _fetch(self, unix_time: float) -> Steps[Fetched]:
        del unix_time
        names = tuple(_VARIABLES.values())
        values = yield from read_variables(names, why="the credential")
        said = {field: values[name] for field, name in _VARIABLES.items() if name in values}
        return _fetched(said, "the environment", _VARIABLES)


class ProfileAuth(_KeySource):
    """The profile file, section `[basic]`.

    Args:
        file: Which; None for the usual one.
    """

    label = "the key of the profile file"
    advice = "check `ak` and `sk` in the profile file, project_id and the clock of this machine"

    def __init__(self, file: str | None) -> None:
        super().__init__()
        self._file = file

    def __repr__(self) -> str:
        return f"<ProfileAuth {self._file or 'usual file'}, {self._renewal}>"

    @property
    def identity(self) -> Hashable:
        return ("profile", self._file)

    def _fetch(self, unix_time: float) -> Steps[Fetched]:
        del unix_time
        path = self._file or (yield from _usual_file())
        try:
            text = yield from read_file(path)
        except TransportError as error:
            raise CredentialError(f"{headline(error)}. Next: {_NEXT_FILE}") from error
        return _fetched(_section(text, path), f"the file {path}", {field: field for field in _FIELDS})


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


def _fetched(said: Mapping[str, str], where: str, names: Mapping[str, str]) -> Fetched:
    """The key that a source holds.

    Raises:
        CredentialError: It holds none, or one that is not supported.
    """
    if said.get("idp_id") and said.get("id_token_file"):
        raise NotSupportedHere(
            f"{where} names an identity provider ({names['idp_id']}), which is not supported here and would win over "
            f"a key in Huawei's own SDKs. Next: take it away, or take another credential `type`"
        )
    missing = [names[field] for field in ("ak", "sk") if not said.get(field)]
    if missing:
        raise CredentialError(f"{where} has no {' and no '.join(missing)}. Next: set {' and '.join(missing)}")
    key = as_key(said["ak"], said["sk"], said.get("security_token", ""))
    if key is None:
        raise CredentialError(
            f"the key in {where} has a character that cannot be sent. Next: look for spaces, commas and line breaks"
        )
    project_id = said.get("project_id") or None
    if project_id is not None and not is_path_segment(project_id):
        raise CredentialError(f"{names['project_id']} in {where} is not the id of a project. Next: correct it")
    return Fetched(KeyGrant(key, project_id))
