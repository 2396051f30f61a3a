"""Answers to send: legal ones of every framing, and a list of illegal ones."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from hypothesis import strategies as st

__all__ = ["CHUNKED", "FITTING", "ILLEGAL", "OK", "STRICTER", "Legal", "cut", "legal_answers"]

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
FITTING = OK + b"Content-Length: 2\r\n\r\nab"

ILLEGAL = {
    "two lengths": OK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nabc",
    "a length with a sign": OK + b"Content-Length: +2\r\n\r\nab",
    "a negative length": OK + b"Content-Length: -2\r\n\r\nab",
    "an empty length": OK + b"Content-Length:\r\n\r\nab",
    "a hexadecimal length": OK + b"Content-Length: 0x2\r\n\r\nab",
    "a length without end": OK + b"Content-Length: 99999999999999999999999\r\n\r\nab",
    "two numbers in a length": OK + b"Content-Length: 2 3\r\n\r\nab",
    "a space before the colon": OK + b"Content-Length : 2\r\n\r\nab",
    "an unknown coding": OK + b"Transfer-Encoding: xchunked\r\n\r\n2\r\nab\r\n0\r\n\r\n",
    "chunked, then another coding": OK + b"Transfer-Encoding: chunked, gzip\r\n\r\nab",
    "another coding, then chunked": OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "identity": OK + b"Transfer-Encoding: identity\r\n\r\nab",
    "identity and a length": OK + b"Transfer-Encoding: identity\r\nContent-Length: 1\r\n\r\nab",
    "chunked with a parameter": OK + b"Transfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n",
    "chunked twice": OK + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a vertical tab before chunked": OK + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    "an empty coding": OK + b"Transfer-Encoding:\r\n\r\nab",
    "a chunk size of nothing": CHUNKED + b"\r\nab\r\n0\r\n\r\n",
    "a negative chunk size": CHUNKED + b"-2\r\nab\r\n0\r\n\r\n",
    "a chunk size with 0x": CHUNKED + b"0x2\r\nab\r\n0\r\n\r\n",
    "a chunk size without end": CHUNKED + b"f" * 30 + b"\r\nab\r\n0\r\n\r\n",
    "a chunk longer than its size": CHUNKED + b"2\r\nabc\r\n0\r\n\r\n",
    "a chunk shorter than its size": CHUNKED + b"3\r\nab\r\n0\r\n\r\n",
    "chunks without an end": CHUNKED + b"2\r\nab\r\n",
    "a body that is too short": OK + b"Content-Length: 3\r\n\r\nab",
    "HTTP/2's own frames": b"\0\0\x12\x04\0\0\0\0\0\0\x03\0\0\0d",
    "no version": b"ICY 200 OK\r\n\r\nab",
    "TLS": b"\x15\x03\x01\x00\x02\x02\x28",
    "a request": b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "a status of two digits": b"HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n",
    "a status of four digits": b"HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n",
    "a status of zeros": b"HTTP/1.1 000 OK\r\nContent-Length: 0\r\n\r\n",
    "an upgrade": b"HTTP/1.1 101 S\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nab",
    "a name with a space": OK + b"A b: c\r\nContent-Length: 0\r\n\r\n",
    "a name of nothing": OK + b": c\r\nContent-Length: 0\r\n\r\n",
    "a line without a colon": OK + b"abc\r\nContent-Length: 0\r\n\r\n",
    "a NUL in a value": OK + b"A: b\0c\r\nContent-Length: 0\r\n\r\n",
    "a CR in a value": OK + b"A: b\rc\r\nContent-Length: 0\r\n\r\n",
    "chunks with LF alone": CHUNKED + b"2\nab\n0\n\n",
    "nothing": b"",
    "half a head": OK + b"A: b\r\n",
    "only interim answers": b"HTTP/1.1 100 Continue\r\n\r\n" * 3,
}
STRICTER = {
    # What httpx (h11) takes, and the wire does not.
    "HTTP/0.9": b"HTTP/0.9 200 OK\r\n\r\nab",
    "HTTP/2": b"HTTP/2.0 200 OK\r\n\r\nab",
    "the same length twice": OK + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\nab",
    "a length as a list": OK + b"Content-Length: 2, 2\r\n\r\nab",
    "a length and chunked": OK + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunked and a length": OK + b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n0\r\n\r\n",
    "a length in the trailer": CHUNKED + b"0\r\nContent-Length: 2\r\n\r\n",
    "lines that end with LF alone": b"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
    "a value with LF": OK + b"A: b\nc: d\r\nContent-Length: 0\r\n\r\n",
    "a folded value": OK + b"A: b\r\n c\r\nContent-Length: 0\r\n\r\n",
    "a folded length": OK + b"Content-Length:\r\n 2\r\n\r\nab",
    "a space behind a chunk size": CHUNKED + b"2 \r\nab\r\n0\r\n\r\n",
    "a control character in a chunk extension": CHUNKED + b"2;a=\x01\r\nab\r\n0\r\n\r\n",
    "a control character in a value": OK + b"A: b\x01c\r\nContent-Length: 0\r\n\r\n",
    "an interim answer that closes": b"HTTP/1.1 100 C\r\nConnection: close\r\n\r\n" + FITTING,
}


@dataclass(frozen=True)
class Legal:
    """A legal answer, and what a reader must make of it."""

    method: str
    data: bytes
    status: int
    fields: tuple[tuple[str, str], ...]
    body: bytes
    ends_with_connection: bool
    may_be_reused: bool


_NAMES = st.from_regex(r"X-[A-Za-z0-9!#$%&'*+.^_`|~-]{0,12}", fullmatch=True)
_VALUES = st.from_regex(r"([!-~\xa0-\xff]([ \t!-~\xa0-\xff]{0,20}[!-~\xa0-\xff])?)?", fullmatch=True)
_EXTENSIONS = st.sampled_from(["", ";a", ";a=b", ';a="q r"', ";a=1;b=2"])


@st.composite
def legal_answers(draw: st.DrawFn) -> Legal:
    """Legal answers of every framing."""
    method = draw(st.sampled_from(["GET", "POST", "HEAD"]))
    version = draw(st.sampled_from(["1.1", "1.1", "1.1", "1.0"]))
    status = draw(st.sampled_from([200, 200, 200, 201, 204, 206, 304, 307, 404, 429, 500, 503, 599]))
    framing = draw(st.sampled_from(["length", "chunked", "close"] if version == "1.1" else ["length", "close"]))
    connection = draw(st.sampled_from([None, "keep-alive", "close", "Close"]))
    fields = draw(st.lists(st.tuples(_NAMES, _VALUES), max_size=4))
    body = draw(st.binary(max_size=300))
    has_no_body = method == "HEAD" or status in (204, 304)
    if connection is not None:
        fields.append(("Connection", connection))
    written = b""
    if status == 204:
        framing = "none"
    elif framing == "length":
        fields.insert(draw(st.integers(0, len(fields))), ("Content-Length", str(len(body))))
        written = body
    elif framing == "chunked":
        name = draw(st.sampled_from(["Transfer-Encoding", "TRANSFER-encoding"]))
        fields.insert(draw(st.integers(0, len(fields))), (name, draw(st.sampled_from(["chunked", "Chunked"]))))
        written = _chunked(draw, body)
    else:
        written = body
    if has_no_body:
        written = body = b""
    is_open_ended = framing == "close" and not has_no_body
    head = f"HTTP/{version} {status} {draw(st.sampled_from(['OK', '', 'I am so (sorry)']))}\r\n"
    head += "".join(f"{name}:{draw(st.sampled_from(['', ' ', '  ']))}{value}\r\n" for name, value in fields)
    interim = "".join(
        draw(
            st.lists(
                st.sampled_from(
                    [
                        "HTTP/1.1 100 Continue\r\n\r\n",
                        "HTTP/1.1 102 Processing\r\nX-Interim: 1\r\n\r\n",
                        "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n",
                    ]
                ),
                max_size=2,
            )
        )
    )
    stays = connection == "keep-alive" if version == "1.0" else connection not in ("close", "Close")
    data = (interim + head + "\r\n").encode("latin-1") + written
    return Legal(method, data, status, tuple(fields), body, is_open_ended, stays and not is_open_ended)


def _chunked(draw: st.DrawFn, body: bytes) -> bytes:
    written = b""
    while body:
        size = draw(st.integers(1, len(body)))
        digits = draw(st.sampled_from(["{:x}", "{:X}", "0{:x}", "000{:x}"])).format(size)
        written += f"{digits}{draw(_EXTENSIONS)}\r\n".encode() + body[:size] + b"\r\n"
        body = body[size:]
    trailer = draw(st.sampled_from(["", "X-Sum: 1\r\n", "X-Sum: 1\r\nX-More:\r\n"]))
    return written + f"0{draw(_EXTENSIONS)}\r\n{trailer}\r\n".encode()


def cut(data: bytes, cuts: list[int]) -> list[bytes]:
    """The data in pieces, cut at these places (which may lie behind its end)."""
    places = sorted({place % (len(data) + 1) for place in cuts} | {0, len(data)})
    return [data[start:end] for start, end in pairwise(places)]
