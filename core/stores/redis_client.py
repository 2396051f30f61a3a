"""The way to the server, through redis-py: the only module that imports it. Its errors end here."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from typing import cast

import redis
from redis.backoff import NoBackoff
from redis.credentials import CredentialProvider
from redis.retry import Retry

from ..interfaces.store import StoreRefused, StoreUnavailable
from .redis_place import RedisPlace
from .redis_scripts import Script

__all__ = ["RedisClient"]

_CLUSTER = ("MOVED", "ASK", "CROSSSLOT", "CLUSTERDOWN")


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
            except redis.exceptions.NoScriptError:
                return self._evaluate("EVAL", script.text, keys, arguments)
        except redis.RedisError as error:
            # A server that became a replica, or another behind the same name: only a new connection finds out.
            self._redis.connection_pool.disconnect(inuse_connections=False)
            raise self._story(error) from None  # the error of redis-py may hold what was sent
        except (OSError, ValueError) as error:  # the files of the certificates, or of the password
            raise self._bad_file(error) from None

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

    def _bad_file(self, error: BaseException) -> StoreRefused:
        files = [self._place.password_file, self._place.ca_file, self._place.certificate_file, self._place.key_file]
        names = ", ".join(str(file) for file in files if file is not None)
        reason = (error.strerror if isinstance(error, OSError) else None) or type(error).__name__
        return StoreRefused(f"{self._place}: a file cannot be used: {reason}. Next: look at {names}")

    def _story(self, error: redis.RedisError) -> StoreUnavailable:
        """The error for our callers. An answer of the server is quoted, and quotes nothing that we sent."""
        place = self._place
        if isinstance(error, redis.AuthenticationError | redis.exceptions.AuthorizationError):
            return StoreRefused(
                f"{place}: the server does not let us in: {_one_line(error)}. "
                "Next: check the user and the password in `store`, or what its variable or file holds"
            )
        if isinstance(error, redis.exceptions.NoPermissionError):
            return StoreRefused(
                f"{place}: the server's access list forbids it: {_one_line(error)}. "
                f"Next: allow the user the keys `{place.key('*')}`, and the commands that the page on many processes "
                "lists"
            )
        if isinstance(error, redis.TimeoutError):
            return StoreUnavailable(f"{place}: no answer in time")
        if isinstance(error, redis.ConnectionError):
            bad_certificate = _in_chain(error, ssl.SSLCertVerificationError)
            if isinstance(bad_certificate, ssl.SSLCertVerificationError):
                return StoreRefused(
                    f"{place}: the server's certificate is not accepted: {bad_certificate.verify_message.rstrip('.')}. "
                    "Next: name the authority with ?ssl_ca_certs=/PATH, and the host as the certificate does"
                )
            missing = _in_chain(error, FileNotFoundError, PermissionError, IsADirectoryError)
            if missing is not None:
                return self._bad_file(missing)
            return StoreUnavailable(f"{place}: {_one_line(error)}")
        message = _one_line(error)
        if isinstance(error, redis.exceptions.ClusterError | redis.exceptions.AskError) or message.startswith(_CLUSTER):
            return StoreRefused(
                f"{place} is a node of a Redis Cluster, which is not supported. "
                "Next: use a server without cluster mode, or the address of the cluster's proxy"
            )
        if message.startswith("WRONGTYPE") or "unknown command" in message.lower():
            return StoreRefused(
                f"{place}: {message}. Next: choose another database or ?prefix=, on a server from Redis 6 on"
            )
        return StoreUnavailable(f"{place}: {message}")


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


def _in_chain(error: BaseException, *kinds: type[BaseException]) -> BaseException | None:
    """The error of one of these kinds that this one came from."""
    seen: BaseException | None = error
    while seen is not None and not isinstance(seen, kinds):
        seen = seen.__cause__ or seen.__context__
    return seen


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__


def _text(path: object) -> str | None:
    return None if path is None else str(path)
