"""Where a Redis store is: a URL, taken apart. What people may see of it is told apart from what they may not."""

from __future__ import annotations

import os
import re
from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from ..fields import Secret

__all__ = ["DEFAULT_PREFIX", "RedisPlace"]

DEFAULT_PREFIX = "directlane"
_PORT = 6379
_OPTIONS = ("prefix", "password_file", "db", "ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
_PREFIX = re.compile(r"[A-Za-z0-9_.:-]{1,100}")
_FORM = "redis://[USER]:[PASSWORD]@HOST:PORT/DATABASE"
_SOCKET_FORM = "unix://[USER]:[PASSWORD]@/PATH?db=DATABASE"


@dataclass(frozen=True, slots=True)
class RedisPlace:
    """A server, a database on it, and how to get in.

    Args:
        host: Name or address.
        port: TCP port.
        database: Number of the database.
        prefix: Begins the names of all keys: one server may serve several users that share nothing.
        user: Name for the server's access lists; empty for the default user.
        password: None if none is needed, or if it stands in a file.
        password_file: Read for each new connection, so that a password may be changed while processes run.
        is_tls: Whether the connection is encrypted.
        ca_file: The authorities that the server's certificate is checked with. None: those of the system.
        certificate_file: Our own certificate, for servers that ask for one.
        key_file: The key of our own certificate.
        socket: A socket of this host, in place of host and port.
    """

    host: str
    port: int = _PORT
    database: int = 0
    prefix: str = DEFAULT_PREFIX
    user: str = ""
    password: Secret | None = None
    password_file: Path | None = None
    is_tls: bool = False
    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None
    socket: Path | None = None

    @classmethod
    def from_url(cls, url: str) -> RedisPlace:
        """The place that a URL names.

        Args:
            url: `redis://` or, with TLS, `rediss://`, then `USER:PASSWORD@HOST:PORT/DATABASE?OPTION=VALUE`. All but the
                host may be left out. Or `unix://USER:PASSWORD@/PATH?db=DATABASE`, for a socket of this host.

        Raises:
            ValueError: It is no such URL. The text quotes no part that may be a password.
        """
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError:
            # The text of this error quotes what stands around a password with a `/` or a `[` in it.
            raise ValueError(_unreadable()) from None
        socket = Path(unquote(parts.path)) if parts.scheme == "unix" else None
        if parts.fragment or (not host if socket is None else host or port or not socket.name):
            raise ValueError(_unreadable())
        options = _options(parts.query)
        if "db" in options and socket is None:
            raise ValueError(f"db is for sockets; the number of the database stands after the port: {_FORM}")
        is_tls = parts.scheme == "rediss"
        tls_only = [name for name in options if name.startswith("ssl_")]
        if tls_only and not is_tls:
            raise ValueError(f"{tls_only[0]} needs TLS; write rediss:// instead of redis://")
        password = unquote(parts.password or "")
        password_file = _path("password_file", options)
        if password and password_file is not None:
            raise ValueError("give the password or password_file, not both")
        prefix = options.get("prefix", DEFAULT_PREFIX)
        if not _PREFIX.fullmatch(prefix):
            raise ValueError("prefix must be 1 to 100 letters, digits and any of _ . : -")
        return cls(
            host or "",
            _PORT if port is None else port,
            _database(parts.path if socket is None else options.get("db", "")),
            prefix,
            unquote(parts.username or ""),
            Secret(password) if password else None,
            password_file,
            is_tls,
            _path("ssl_ca_certs", options),
            _path("ssl_certfile", options),
            _path("ssl_keyfile", options),
            socket,
        )

    @property
    def identity(self) -> Hashable:
        """Equal for equal keys on an equal server, whoever asks."""
        if self.socket is not None:
            return os.path.realpath(self.socket), self.database, self.prefix
        return self.host.lower(), self.port, self.database, self.prefix

    def __str__(self) -> str:
        # Without the user: where there is a password only, people put it there by mistake.
        if self.socket is not None:
            return f"unix://{self.socket}?db={self.database}{self._shown_prefix('&')}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        word = "rediss" if self.is_tls else "redis"
        return f"{word}://{host}:{self.port}/{self.database}{self._shown_prefix('?')}"

    def _shown_prefix(self, mark: str) -> str:
        return "" if self.prefix == DEFAULT_PREFIX else f"{mark}prefix={self.prefix}"

    def key(self, *words: str) -> str:
        """The full name of a key. The braces keep all keys of a store in one slot, as proxies of clusters ask for."""
        return ":".join((f"{{{self.prefix}}}", *words))


def _unreadable() -> str:
    return (
        f"this is not a URL of the form {_FORM} or {_SOCKET_FORM}. Next: look at its host and port, or at its path; "
        "percent-encode special characters of the password, or keep it in a file with ?password_file=/PATH"
    )


def _database(path: str) -> int:
    number = path.strip("/")
    if not number:
        return 0
    if not (number.isascii() and number.isdigit()):
        raise ValueError(f"the number of a database is a number, such as 0; the form is {_FORM} or {_SOCKET_FORM}")
    return int(number)


def _options(query: str) -> dict[str, str]:
    options = dict(parse_qsl(query, keep_blank_values=True))
    for name in options:
        if name not in _OPTIONS:
            shown = repr(name) if name.isidentifier() and len(name) <= 30 else "this"
            raise ValueError(f"there is no option {shown}; the options are: {', '.join(_OPTIONS)}")
    return options


def _path(name: str, options: dict[str, str]) -> Path | None:
    if name not in options:
        return None
    path = Path(options[name])
    if not path.is_absolute():
        raise ValueError(f"{name} must be an absolute path, such as {name}=/etc/directlane/{name}")
    return path
