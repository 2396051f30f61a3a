"""A language model as an application of the emulation toolkit, with the interfaces of OpenAI and of Anthropic.

It says `WORDS`, one piece for each, and names the instance in the reply's `model`. A prompt `STALL` makes a stream stop
after its first piece and stay open.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

from directlane.core.emulation.exchange import ServerReply, ServerRequest, json_reply
from directlane.core.emulation.server import Handler

__all__ = ["STALL", "WORDS", "make"]

WORDS = ("Nobody", " ", "noticed", ".")
STALL = "stall"
_EVENT_STREAM = (("content-type", "text/event-stream"),)


def make(settings: Mapping[str, Any]) -> Handler:
    """The application. Settings: `name` of the instance, and the `token` that it demands."""
    name, token = str(settings["name"]), str(settings["token"])

    def answer(request: ServerRequest) -> ServerReply:
        if request.header("authorization") != f"Bearer {token}":
            return json_reply({"error": {"message": "wrong token", "type": "authentication_error"}}, 401)
        if not request.content:
            return json_reply({"error": {"message": "no body", "type": "invalid_request_error"}}, 404)
        asked = request.json()
        stalls = asked["messages"][-1]["content"] == STALL
        events = {"/v1/chat/completions": _openai_events, "/v1/messages": _anthropic_events}.get(request.path)
        if events is None:
            return json_reply({"error": {"message": "no such path", "type": "not_found_error"}}, 404)
        if asked.get("stream"):
            return ServerReply(200, _EVENT_STREAM, _paced(events(name), stalls=stalls))
        return json_reply(_openai_whole(name) if events is _openai_events else _anthropic_whole(name))

    return answer


async def _paced(events: Iterator[bytes], *, stalls: bool) -> AsyncIterator[bytes]:
    for event in events:
        yield event
        if stalls and f'"{WORDS[0]}"'.encode() in event:
            await asyncio.Event().wait()
        await asyncio.sleep(0)


def _openai_events(name: str) -> Iterator[bytes]:
    for word in WORDS:
        choice = {"index": 0, "delta": {"role": "assistant", "content": word}, "finish_reason": None}
        yield _data({"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": name, "choices": [choice]})
    yield b"data: [DONE]\n\n"


def _openai_whole(name: str) -> dict[str, Any]:
    message = {"role": "assistant", "content": "".join(WORDS)}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    usage = {"prompt_tokens": 1, "completion_tokens": len(WORDS), "total_tokens": 1 + len(WORDS)}
    return {"id": "c1", "object": "chat.completion", "created": 1, "model": name, "choices": [choice], "usage": usage}


def _anthropic_events(name: str) -> Iterator[bytes]:
    yield _typed("message_start", message=_anthropic_whole(name) | {"content": [], "stop_reason": None})
    yield _typed("content_block_start", index=0, content_block={"type": "text", "text": ""})
    for word in WORDS:
        yield _typed("content_block_delta", index=0, delta={"type": "text_delta", "text": word})
    yield _typed("content_block_stop", index=0)
    delta = {"stop_reason": "end_turn", "stop_sequence": None}
    yield _typed("message_delta", delta=delta, usage={"output_tokens": len(WORDS)})
    yield _typed("message_stop")


def _anthropic_whole(name: str) -> dict[str, Any]:
    return {
        "id": "m1",
        "type": "message",
        "role": "assistant",
        "model": name,
        "content": [{"type": "text", "text": "".join(WORDS)}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 1, "output_tokens": len(WORDS)},
    }


def _data(event: Mapping[str, Any]) -> bytes:
    return f"data: {json.dumps(event)}\n\n".encode()


def _typed(kind: str, **facts: Any) -> bytes:
    return f"event: {kind}\n".encode() + _data({"type": kind, **facts})
