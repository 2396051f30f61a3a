"""TLS of a transport: the files that its settings name, and the contexts that are made from them.

Certificates are renewed while programs run. So the files are looked at for each new connection, and read again when
they have changed. Files that do not fit together (one of a pair is written, the other is not yet) leave the last
context in use.
"""

from __future__ import annotations

import logging
import os
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Self, TypeAlias

import httpx
from pydantic import Field, PrivateAttr, model_validator

from ..fields import FilePath
from ..interfaces.transport import Transport
from ..os_reason import os_reason

__all__ = ["TlsContexts", "TlsFiles", "TlsTransport"]

_log = logging.getLogger("directlane.transports")

_Stamp: TypeAlias = tuple[tuple[int, int, int], ...]


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """What stands in the settings; see `TlsTransport`."""

    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None

    @property
    def named(self) -> tuple[Path, ...]:
        """The files that are named."""
        return tuple(path for path in (self.ca, self.certificate, self.key) if path is not None)

    def stamp(self) -> _Stamp:
        """What changes when one of the files does.

        Raises:
            OSError: One cannot be looked at.
        """
        found = [path.stat() for path in self.named]
        return tuple((status.st_ino, status.st_size, status.st_mtime_ns) for status in found)

    def context(self) -> ssl.SSLContext:
        """A context that trusts these authorities, checks host names, and shows our certificate.

        Raises:
            ValueError: A file cannot be used; the text says which and why.
        """
        if self.ca is None:
            context = httpx.create_ssl_context(trust_env=False)
        else:
            try:
                context = ssl.create_default_context(cafile=str(self.ca))
            except (OSError, ValueError) as error:
                raise ValueError(f"`ca_file` {self.ca} {_reason(error, 'holds no certificates in PEM form')}") from None
        if self.certificate is not None:
            self._load_own(context, self.certificate)
        return context

    def _load_own(self, context: ssl.SSLContext, certificate: Path) -> None:
        name, key = ("certificate_file", certificate) if self.key is None else ("key_file", self.key)
        for option, path in (("certificate_file", certificate), (name, key)):
            if not os.access(path, os.R_OK):
                raise ValueError(f"`{option}` {path} is not there, or cannot be read by this process")
        try:
            # An empty password: without one, OpenSSL would ask for it at the terminal.
            context.load_cert_chain(certificate, self.key, password="")
        except ssl.SSLError as error:
            if error.reason == "KEY_VALUES_MISMATCH":
                raise ValueError(f"`key_file` {key} is not the key of the certificate in {certificate}") from None
            raise ValueError(
                f"`certificate_file` {certificate} and `{name}` {key} hold no certificate with its key in PEM form; "
                "the key must not be encrypted"
            ) from None


def _reason(error: Exception, otherwise: str) -> str:
    if isinstance(error, OSError) and not isinstance(error, ssl.SSLError):
        return f"cannot be read: {os_reason(error)}"
    return otherwise


class TlsContexts:
    """The context for connections that are made now.

    Mutable state: the context and the stamp of the files that it was made from, as one reference. Two threads may make
    one at the same time; the last one stays.
    """

    __slots__ = ("_files", "_known", "_refused")

    def __init__(self, files: TlsFiles) -> None:
        self._files = files
        self._known: tuple[_Stamp, ssl.SSLContext] | None = None
        self._refused: _Stamp | None = None

    def current(self) -> ssl.SSLContext:
        """The context. Reading the authorities takes tens of milliseconds: once, and when a file has changed.

        Raises:
            ValueError: There is none yet, and a file cannot be used.
        """
        known = self._known
        try:
            stamp = self._files.stamp()
        except OSError as error:
            if known is not None:
                return known[1]  # it is just being replaced
            raise ValueError(f"{error.filename} cannot be read: {os_reason(error)}") from None
        if known is not None and stamp in (known[0], self._refused):
            return known[1]
        try:
            context = self._files.context()
        except ValueError as error:
            if known is None:
                raise
            self._refused = stamp
            _log.warning("changed files for TLS are not used, those before stay in use: %s", error)
            return known[1]
        self._known = (stamp, context)
        return context

    def for_a_look(self) -> ssl.SSLContext:
        """A new context that checks no names: to see which ones a certificate has, never for calls."""
        context = self._files.context()
        context.check_hostname = False
        return context


class TlsTransport(Transport):
    """A transport that speaks TLS, with the settings for it."""

    ca_file: FilePath | None = Field(
        default=None,
        description="PEM file with the authorities to trust for https. Default: those of certifi. Relative paths begin "
        "in the folder of the configuration file.",
    )
    certificate_file: FilePath | None = Field(
        default=None,
        description="PEM file with a certificate of our own and those between it and its authority, for instances that "
        "ask for one (mutual TLS). Default: none.",
    )
    key_file: FilePath | None = Field(
        default=None,
        description="PEM file with the key of our certificate, not encrypted. Default: it is in `certificate_file`.",
    )

    _contexts: TlsContexts | None = PrivateAttr(default=None)

    @model_validator(mode="after")
    def _files_fit(self) -> Self:
        if self.key_file is not None and self.certificate_file is None:
            raise ValueError("`key_file` needs a `certificate_file`")
        files = TlsFiles(self.ca_file, self.certificate_file, self.key_file)
        self._contexts = TlsContexts(files)
        if files.named:
            self._contexts.current()
        return self

    def tls(self) -> TlsContexts:
        """The contexts for https."""
        assert self._contexts is not None  # noqa: S101 - the validator has run
        return self._contexts
