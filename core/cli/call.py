"""`directlane call`: one request to a service, its answer to standard output."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import click

from ..client import Client, ReplyStream
from ..errors import CallError, ClosedError, NoEndpointError
from ..message import Headers
from .options import BadInput, config_option, duration_value
from .output import is_terminal, say_error

__all__ = ["call"]

_FAILED = 1
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")

_HELP = """Send one request to a service and write the body of the answer to standard output, byte for byte, as it
arrives.

PATH is the path and query behind the service's own. The method is POST if there is data, otherwise GET.

\b
Exit status:
  0  an instance answered with 2xx
  1  it answered with another status (the body is written all the same), or the call failed on the wire
  2  bad input, or discovery named nobody to ask

\b
Examples:
  directlane call -c directlane.toml scorecard -d '[{"money_credit": 3000000}]'
  directlane call -c directlane.toml chat /v1/models -i
  directlane call -c directlane.toml chat /v1/chat/completions -d @request.json \\
      -H 'Content-Type: application/json' --key user-7
"""


def _headers(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> Headers:
    pairs: list[tuple[str, str]] = []
    for text in values:
        name, colon, value = text.partition(":")
        # The value is not shown: it may be a secret.
        if not colon:
            raise click.BadParameter("a header is written as 'Name: value'", ctx, param)
        if not _TOKEN.fullmatch(name.strip()):
            raise click.BadParameter(f"{name.strip()!r} is not a name of a header field", ctx, param)
        if _CONTROL.search(value.strip()) or not value.isascii():
            message = f"the value of {name.strip()!r} has characters that HTTP does not allow there"
            raise click.BadParameter(message, ctx, param)
        pairs.append((name.strip(), value.strip()))
    return tuple(pairs)


def _method(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    if value is not None and not _TOKEN.fullmatch(value):
        raise click.BadParameter(f"{value!r} is not an HTTP method", ctx, param)
    return value.upper() if value is not None else None


def _path(ctx: click.Context, param: click.Parameter, value: str) -> str:
    if re.search(r"[\x00-\x20\x7f#]", value):
        raise click.BadParameter("a path has no spaces, control characters or '#'; write a space as %20", ctx, param)
    return value


def _content(data: str | None) -> bytes:
    if data is None:
        return b""
    if data == "-":
        return sys.stdin.buffer.read()
    if not data.startswith("@"):
        # Bytes that are not UTF-8 come through as they were given.
        return data.encode("utf-8", "surrogateescape")
    try:
        return Path(data[1:]).read_bytes()
    except OSError as error:
        raise BadInput(
            f"the data cannot be read from {data[1:]!r}: {error.strerror}\n"
            "Next: give another file, or '-' to read standard input."
        ) from None


@click.command(help=_HELP, short_help="Send one request; write the answer's body.")
@config_option
@click.argument("service")
@click.argument("path", default="", callback=_path)
@click.option("-d", "--data", metavar="DATA|@FILE|-", help="The body: as it is, from a file, or from standard input.")
@click.option("-X", "--method", callback=_method, help="HTTP method.")
@click.option(
    "-H", "--header", "headers", metavar="'K: V'", multiple=True, callback=_headers, help="A header field; repeatable."
)
@click.option("--key", help="Affinity key, for balancers that keep the calls of one key together.")
@click.option(
    "--timeout", metavar="DURATION", callback=duration_value, help="Time for the call. Default: as configured."
)
@click.option("-i", "--include", is_flag=True, help="Write the status, headers and endpoint before the body.")
def call(
    *,
    config_file: str,
    service: str,
    path: str,
    data: str | None,
    method: str | None,
    headers: Headers,
    key: str | None,
    timeout: float | None,
    include: bool,
) -> int:
    with Client.from_file(config_file) as client:
        target = client.service(service)
        content = _content(data)
        try:
            # As a stream, so that the words of a language model appear as they come.
            with target.stream(
                content,
                path=path,
                method=method or ("GET" if data is None else "POST"),
                headers=headers,
                key=key,
                timeout=timeout,
            ) as reply:
                return _write(reply, include=include)
        except (NoEndpointError, ClosedError):
            raise
        except CallError as error:
            say_error(str(error))
            return _FAILED


def _write(reply: ReplyStream, *, include: bool) -> int:
    out = sys.stdout.buffer
    if include:
        lines = [f"HTTP/1.1 {reply.status}", *(f"{name}: {value}" for name, value in reply.headers)]
        if reply.endpoint is not None:
            lines.append(f"Directlane-Endpoint: {reply.endpoint.id}")
        lines.append(f"Directlane-Attempts: {reply.attempts}")
        out.write("".join(f"{line}\r\n" for line in [*lines, ""]).encode("latin-1", "replace"))
    last = b"\n"
    for piece in reply.iter_bytes():
        out.write(piece)
        out.flush()
        last = piece[-1:] or last
    out.flush()
    if reply.ok:
        return 0
    if last != b"\n" and is_terminal():
        out.write(b"\n")  # so that the message does not begin in the middle of a line
        out.flush()
    by = f" by {reply.endpoint.id}" if reply.endpoint is not None else ""
    say_error(f"answered with status {reply.status}{by}\nNext: the body on standard output may say why.")
    return _FAILED
