"""What kind of failure an error on the wire is: found by the types under it, never by its text. Pure."""

from __future__ import annotations

import errno
import socket
import ssl
from collections.abc import Iterator
from enum import Enum

import h11
import httptools
import httpx

from ..errors import TransportError
from ..transports.wire.reader import BadAnswerError

__all__ = ["Failure", "failure_of"]


class Failure(Enum):
    """Why a peer could not be talked to."""

    NAME = "name"
    """Its host name has no address."""
    REFUSED = "refused"
    TIMEOUT = "timeout"
    UNREACHABLE = "unreachable"
    RESET = "reset"
    """It closed or reset the connection."""
    CERTIFICATE = "certificate"
    """Its certificate is not accepted, for another reason than those that follow."""
    CERTIFICATE_NAME = "certificate-name"
    """Its certificate is for other names than ours for it."""
    CERTIFICATE_EXPIRED = "certificate-expired"
    """Its certificate has ended, or has not begun."""
    CERTIFICATE_AUTHORITY = "certificate-authority"
    """Its certificate comes from an authority that is not known here."""
    CLIENT_CERTIFICATE = "client-certificate"
    """It wants a certificate of ours, and got none or none that it likes."""
    TLS = "tls"
    """It does not speak TLS, or not ours."""
    NOT_HTTP = "not-http"
    OTHER = "other"


_ERRNO = {
    errno.ECONNREFUSED: Failure.REFUSED,
    errno.ETIMEDOUT: Failure.TIMEOUT,
    errno.EHOSTUNREACH: Failure.UNREACHABLE,
    errno.ENETUNREACH: Failure.UNREACHABLE,
    errno.ENETDOWN: Failure.UNREACHABLE,
    errno.EADDRNOTAVAIL: Failure.UNREACHABLE,
    errno.ECONNRESET: Failure.RESET,
    errno.ECONNABORTED: Failure.RESET,
    errno.EPIPE: Failure.RESET,
}


# X509_V_ERR_*, see openssl-verification-options(1).
_VERIFY = {
    9: Failure.CERTIFICATE_EXPIRED,
    10: Failure.CERTIFICATE_EXPIRED,
    18: Failure.CERTIFICATE_AUTHORITY,
    19: Failure.CERTIFICATE_AUTHORITY,
    20: Failure.CERTIFICATE_AUTHORITY,
    21: Failure.CERTIFICATE_AUTHORITY,
    62: Failure.CERTIFICATE_NAME,
    64: Failure.CERTIFICATE_NAME,
}

_OF_OURS = frozenset(
    {"TLSV13_ALERT_CERTIFICATE_REQUIRED", "TLSV1_ALERT_UNKNOWN_CA", "SSLV3_ALERT_HANDSHAKE_FAILURE"}
    | {f"SSLV3_ALERT_{what}" for what in ("BAD_CERTIFICATE", "CERTIFICATE_UNKNOWN", "CERTIFICATE_EXPIRED")}
)
"""Alerts by which a server refuses what we have shown of ourselves."""


def failure_of(error: BaseException) -> Failure:
    """The kind of a failure: of the innermost error under this one that tells one."""
    found = Failure.OTHER
    for one in _under(error):
        kind = _kind(one)
        if kind is not None:
            found = kind
    return found


def _kind(error: BaseException) -> Failure | None:
    if isinstance(error, ssl.SSLCertVerificationError):
        return _VERIFY.get(getattr(error, "verify_code", 0), Failure.CERTIFICATE)
    if isinstance(error, ssl.SSLEOFError):
        return Failure.RESET
    if isinstance(error, ssl.SSLError):
        return Failure.CLIENT_CERTIFICATE if getattr(error, "reason", None) in _OF_OURS else Failure.TLS
    if isinstance(error, socket.gaierror):
        return Failure.NAME
    if isinstance(error, TransportError) and error.timed_out:
        return Failure.TIMEOUT
    if isinstance(error, TimeoutError | httpx.TimeoutException):
        return Failure.TIMEOUT
    if isinstance(error, OSError) and error.errno in _ERRNO:
        return _ERRNO[error.errno]
    if isinstance(error, httptools.HttpParserError | h11.RemoteProtocolError):
        return Failure.NOT_HTTP
    # What follows says that the connection ended, unless one of the two above stands under it.
    if isinstance(error, EOFError | BadAnswerError | httpx.NetworkError | httpx.RemoteProtocolError):
        return None if isinstance(error, httpx.ConnectError) else Failure.RESET
    return None


def _under(error: BaseException) -> Iterator[BaseException]:
    """The error, and all that it came from."""
    seen: set[int] = set()
    waiting: list[BaseException] = [error]
    while waiting:
        one = waiting.pop(0)
        if id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        if isinstance(one, BaseExceptionGroup):
            waiting += one.exceptions
        waiting += [cause for cause in (one.__cause__, one.__context__) if cause is not None]
