#!/usr/bin/env python3
"""Makes the sync twins: rewrites each `_async/` folder of the core into the `_sync/` folder beside it.

    python tools/unasync.py           write the twins
    python tools/unasync.py --check   say which twins are not up to date; exit status 1 if any

The async files are the source. The rules below are all that is done to them: words are replaced, `async` and `await`
are dropped, and import blocks are sorted again by ruff.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = (
    "core/client",
    "core/codings",
    "core/rpc",
    "core/testing",
    "core/transports",
    "tests/client",
    "tests/codings",
    "tests/doors",
)
HEADER = "# Made by tools/unasync.py from {source}. Change that file, then run the tool.\n"

WORDS = {
    "AsyncAnthropic": "Anthropic",
    "AsyncAttachments": "Attachments",
    "AsyncBegunBody": "BegunBody",
    "AsyncBody": "Body",
    "AsyncByteStream": "SyncByteStream",
    "AsyncBaseTransport": "BaseTransport",
    "AsyncChannel": "Channel",
    "AsyncChannels": "Channels",
    "AsyncClient": "Client",
    "AsyncCloseable": "Closeable",
    "AsyncDecodedBody": "DecodedBody",
    "AsyncDoor": "Door",
    "AsyncDoorStream": "DoorStream",
    "AsyncErrands": "Errands",
    "AsyncGrpcChannel": "GrpcChannel",
    "AsyncGrpcMessages": "GrpcMessages",
    "AsyncHTTPTransport": "HTTPTransport",
    "AsyncHttpxBody": "HttpxBody",
    "AsyncHttpxContent": "HttpxContent",
    "AsyncHttpx2Transport": "Httpx2Transport",
    "AsyncHttpxChannel": "HttpxChannel",
    "AsyncHttpxTransport": "HttpxTransport",
    "AsyncIterable": "Iterable",
    "AsyncIterator": "Iterator",
    "AsyncLeaseRun": "LeaseRun",
    "AsyncLink": "Link",
    "AsyncLock": "Lock",
    "AsyncMemoryBody": "MemoryBody",
    "AsyncMemoryChannel": "MemoryChannel",
    "AsyncMirror": "Mirror",
    "AsyncOpenAI": "OpenAI",
    "AsyncRace": "Race",
    "AsyncRaces": "Races",
    "AsyncReplyStream": "ReplyStream",
    "AsyncService": "Service",
    "AsyncServiceLife": "ServiceLife",
    "AsyncStreamed": "Streamed",
    "AsyncTransportContract": "TransportContract",
    "AsyncUnary": "Unary",
    "AsyncUnaryStream": "UnaryStream",
    "AsyncWarming": "Warming",
    "StopAsyncIteration": "StopIteration",
    "__aenter__": "__enter__",
    "__aexit__": "__exit__",
    "__aiter__": "__iter__",
    "__anext__": "__next__",
    "aclose": "close",
    "anext": "next",
    "aiter_bytes": "iter_bytes",
    "aiter_lines": "iter_lines",
    "aread": "read",
    "begun_async": "begun",
    "bounded_async": "bounded",
    "closed_async": "closed",
    "connected_async": "connected",
    "open_channel_async": "open_channel",
    "asynccontextmanager": "contextmanager",
    "decoded_async": "decoded",
    "handle_async_request": "handle_request",
    "in_thread_async": "in_thread",
    "into_this_loop_async": "into_this_loop",
    "limit_async": "limit",
    "pieces_async": "pieces",
    "hedged_async": "hedged",
    "persisted_async": "persisted",
    "races_of_async": "races_of",
    "sleep_async": "sleep",
    "soon_async": "soon",
    "together_async": "together",
    "open_async": "open",
    "wait_ready_async": "wait_ready",
    "wait_served_async": "wait_served",
    "wait_turn_async": "wait_turn",
}
RULES = [
    (re.compile(r"\basync (def|with|for)\b"), r"\1"),
    (re.compile(r"\bawait "), ""),
    (re.compile(r"\bgrpc\.aio\.Channel\b"), "grpc.Channel"),
    (re.compile(r"\bAwaitable\[((?:[^\[\]]|\[(?:[^\[\]]|\[[^\[\]]*\])*\])*)\]"), r"\1"),
    (re.compile(r"\bAsyncGenerator\[(\w+), None\]"), r"Generator[\1, None, None]"),
    (re.compile(r"\bimport AsyncGenerator, "), "import Generator, "),
    (re.compile(r"\b_async\b"), "_sync"),
    (re.compile(r"\bFor async code\b"), "For sync code"),
    *((re.compile(rf"\b{word}\b"), twin) for word, twin in WORDS.items()),
]


def twin_of(source: Path) -> str:
    text = source.read_text()
    for pattern, replacement in RULES:
        text = pattern.sub(replacement, text)
    text = HEADER.format(source=source.relative_to(ROOT).as_posix()) + text
    fix = ["check", "--select", "I,UP,F401", "--fix", "--quiet", "--exit-zero", "--no-force-exclude"]
    for arguments in (fix, ["format", "--quiet"]):
        name = str(source.parent.parent / "_sync" / source.name)
        command = [sys.executable, "-m", "ruff", *arguments, "--stdin-filename", name, "-"]
        text = subprocess.run(command, input=text, capture_output=True, text=True, check=True, cwd=ROOT).stdout
    return text


def main() -> int:
    check = sys.argv[1:] == ["--check"]
    stale: list[str] = []
    for folder in FOLDERS:
        for source in sorted((ROOT / folder / "_async").glob("*.py")):
            twin = ROOT / folder / "_sync" / source.name
            text = twin_of(source)
            if not twin.exists() or twin.read_text() != text:
                stale.append(twin.relative_to(ROOT).as_posix())
                if not check:
                    twin.parent.mkdir(exist_ok=True)
                    twin.write_text(text)
    for name in stale:
        print(f"{name} {'is not up to date: run tools/unasync.py' if check else 'written'}")
    return 1 if check and stale else 0


if __name__ == "__main__":
    raise SystemExit(main())
