"""What went wrong between us and a Redis server, told in our words.

An answer of the server is quoted only as far as it quotes nothing that we sent. What a person must mend is
`StoreRefused`; what may mend itself, such as a failover, is `StoreUnavailable`.
"""

from __future__ import annotations

import ssl

from redis import exceptions

from ..interfaces.store import StoreRefused, StoreUnavailable
from .redis_place import RedisPlace

__all__ = ["bad_file", "story"]

_Kinds = tuple[type[BaseException], ...]

_PASSING: tuple[tuple[_Kinds, str, str], ...] = (
    (
        (exceptions.ReadOnlyError,),
        "READONLY",
        "it is a replica, and takes no changes. Next: name the master in `store`, or wait for the end of a failover",
    ),
    ((exceptions.MasterDownError,), "MASTERDOWN", "it is a replica that has lost its master"),
    (
        (exceptions.OutOfMemoryError,),
        "OOM",
        "its memory is full. Next: give it more `maxmemory`, or a database of its own",
    ),
    ((), "MISCONF", "it cannot save to its disk, and takes no changes. Next: look at the log of the server"),
    ((), "BUSY", "it is busy with a script of somebody else"),
)
"""Error of redis-py, or the first word of the server's answer; and what to say. All of these may pass by themselves."""

_CLUSTER = ("MOVED", "ASK", "CROSSSLOT", "CLUSTERDOWN")


def story(place: RedisPlace, error: exceptions.RedisError) -> StoreUnavailable:
    """The error for our callers."""
    message = _one_line(error)
    for kinds, word, said in _PASSING:
        if isinstance(error, kinds) or message.partition(" ")[0] == word:
            return StoreUnavailable(f"{place}: {said}")
    return _forbidden(place, error, message) or _broken(place, error, message) or _useless(place, error, message)


def bad_file(place: RedisPlace, error: BaseException) -> StoreRefused:
    """The error for a file that the setting names."""
    files = [place.password_file, place.ca_file, place.certificate_file, place.key_file]
    names = ", ".join(str(file) for file in files if file is not None)
    reason = (error.strerror if isinstance(error, OSError) else None) or type(error).__name__
    return StoreRefused(f"{place}: a file cannot be used: {reason}. Next: look at {names}")


def _forbidden(place: RedisPlace, error: exceptions.RedisError, message: str) -> StoreRefused | None:
    # The second is what a server says that was told no password, and gets a long command.
    if isinstance(error, exceptions.AuthenticationError | exceptions.AuthorizationError) or message.startswith(
        "Protocol error: unauthenticated"
    ):
        return StoreRefused(
            f"{place}: the server does not let us in: {message}. "
            "Next: check the user and the password in `store`, or what its variable or file holds"
        )
    if isinstance(error, exceptions.NoPermissionError):
        return StoreRefused(
            f"{place}: the server's access list forbids it: {message}. "
            f"Next: allow the user the keys `{place.key('*')}`, and the commands that the page on many processes lists"
        )
    return None


def _broken(place: RedisPlace, error: exceptions.RedisError, message: str) -> StoreUnavailable | None:
    if isinstance(error, exceptions.TimeoutError):
        return StoreUnavailable(f"{place}: no answer in time")
    if not isinstance(error, exceptions.ConnectionError):
        return None
    bad_certificate = _in_chain(error, ssl.SSLCertVerificationError)
    if isinstance(bad_certificate, ssl.SSLCertVerificationError):
        return StoreRefused(
            f"{place}: the server's certificate is not accepted: {bad_certificate.verify_message.rstrip('.')}. "
            "Next: name the authority with ?ssl_ca_certs=/PATH, and the host as the certificate does"
        )
    missing = _in_chain(error, FileNotFoundError, PermissionError, IsADirectoryError)
    if isinstance(missing, OSError) and (place.socket is None or missing.filename is not None):  # the socket has none
        return bad_file(place, missing)
    return StoreUnavailable(f"{place}: {message}")


def _useless(place: RedisPlace, error: exceptions.RedisError, message: str) -> StoreUnavailable:
    if isinstance(error, exceptions.ClusterError | exceptions.AskError) or message.startswith(_CLUSTER):
        return StoreRefused(
            f"{place} is a node of a Redis Cluster, which is not supported. "
            "Next: use a server without cluster mode, or the address of the cluster's proxy"
        )
    if message.startswith("DB index"):
        return StoreRefused(f"{place}: the server has no database {place.database}. Next: choose another, such as 0")
    if message.startswith("WRONGTYPE"):
        return StoreRefused(f"{place}: {message}. Next: choose another database or ?prefix=")
    if message.lower().startswith("unknown command"):
        # What follows the command are its arguments.
        return StoreRefused(f"{place}: {message.partition(',')[0]}. Next: use a server from Redis 6 on that allows it")
    return StoreUnavailable(f"{place}: {message}")


def _in_chain(error: BaseException, *kinds: type[BaseException]) -> BaseException | None:
    """The error of one of these kinds that this one came from."""
    seen: BaseException | None = error
    while seen is not None and not isinstance(seen, kinds):
        seen = seen.__cause__ or seen.__context__
    return seen


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__
