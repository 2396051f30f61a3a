"""The way to the server, through redis-py. Its errors end here; what they mean stands in `redis_errors`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import redis
from redis import exceptions
from redis.backoff import NoBackoff
from redis.credentials import CredentialProvider
from redis.retry import Retry

from .redis_errors import bad_file, story
from .redis_place import RedisPlace
from .redis_scripts import Script

__all__ = ["RedisClient"]


class RedisClient:
    """Runs scripts. Connections are made when they are needed, and again after they broke. Safe for threads.

    Args:
        place: The server.
        patience: Seconds to wait for a connection, and for each answer.
    """

    def __init__(self, place: RedisPlace, patience: float) -> None:
        self._place = place
        tls: dict[str, str | None] = {}
        if place.is_tls:
            tls = {
                "ssl_cert_reqs": "required",
                "ssl_ca_certs": _text(place.ca_file),
                "ssl_certfile": _text(place.certificate_file),
                "ssl_keyfile": _text(place.key_file),
            }
        self._redis = redis.Redis(
            host=place.host,
            port=place.port,
            unix_socket_path=_text(place.socket),
            db=place.database,
            socket_timeout=patience,
            socket_connect_timeout=patience,
            socket_keepalive=True,
            protocol=2,
            # One repeat at once, for a connection that the server closed while nobody looked. Scripts bear it. Not for
            # a server that is silent: nobody waits for it twice.
            retry=Retry(NoBackoff(), 1, supported_errors=(redis.ConnectionError,)),
            credential_provider=_Credentials(place) if place.password or place.password_file else None,
            ssl=place.is_tls,
            **tls,  # type: ignore[arg-type]  # the stubs know each of them, not a table
        )

    def run(self, script: Script, keys: Sequence[str], arguments: Sequence[str | int | bytes]) -> list[bytes]:
        """What the script returns.

        Raises:
            StoreUnavailable: The server cannot be reached, is silent, or cannot do it now.
            StoreRefused: It does not let us in, or is of no use.
        """
        try:
            try:
                return self._evaluate("EVALSHA", script.sha, keys, arguments)
            except exceptions.NoScriptError:
                return self._evaluate("EVAL", script.text, keys, arguments)
        except redis.RedisError as error:
            # A server that became a replica, or another behind the same name: only a new connection finds out.
            self._redis.connection_pool.disconnect(inuse_connections=False)
            raise story(self._place, error) from None  # the error of redis-py may hold what was sent
        except (OSError, ValueError) as error:  # the files of the certificates, or of the password
            raise bad_file(self._place, error) from None

    def close(self) -> None:
        """End all connections. The next `run` makes new ones."""
        self._redis.connection_pool.disconnect()

    def _evaluate(
        self, command: str, script: str, keys: Sequence[str], arguments: Sequence[str | int | bytes]
    ) -> list[bytes]:
        # redis-py leaves the types of answers open.
        answer = self._redis.execute_command(  # type: ignore[no-untyped-call]  # pyright: ignore
            command, script, len(keys), *keys, *arguments
        )
        return cast("list[bytes]", answer)


class _Credentials(CredentialProvider):
    """Asked for each new connection. So no password stands in what redis-py shows of itself."""

    def __init__(self, place: RedisPlace) -> None:
        self._place = place

    def get_credentials(self) -> tuple[str] | tuple[str, str]:
        place = self._place
        password = place.password.reveal() if place.password is not None else ""
        if place.password_file is not None:
            password = place.password_file.read_text("utf-8").strip("\r\n")
        return (place.user, password) if place.user else (password,)


def _text(path: object) -> str | None:
    return None if path is None else str(path)
