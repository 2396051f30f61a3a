"""The client of Anthropic's own SDK talks to our instances, through the httpx2 door. For async code."""

from __future__ import annotations

from typing import Any

import pytest
from door_lab import Llm
from llm_app import STALL, WORDS

from directlane import AsyncClient

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


TEXT = "".join(WORDS)


def sdk(anthropic: Any, http: Any) -> Any:
    return anthropic.AsyncAnthropic(http_client=http, base_url=http.base_url, api_key="not-the-token", max_retries=0)


def asked(text: str = "who notices?") -> dict[str, Any]:
    return {"model": "m", "max_tokens": 10, "messages": [{"role": "user", "content": text}]}


async def test_nobody_notices_that_the_instance_with_the_request_is_killed(anthropic: Any, mortal_llm: Llm) -> None:
    async with AsyncClient.from_data(mortal_llm.data()) as client, client.httpx2("llm") as http:
        ai = sdk(anthropic, http)
        with mortal_llm.killing_who_gets_the_next() as dead:
            async with ai.messages.stream(**asked()) as stream:
                assert "".join([text async for text in stream.text_stream]) == TEXT
        message = await ai.messages.create(**asked())
        assert message.content[0].text == TEXT
        assert message.model not in dead
        assert len(dead) == 1
    assert mortal_llm.ran == 3


async def test_a_stream_that_had_begun_ends_with_an_error(anthropic: Any, mortal_llm: Llm) -> None:
    heard: list[str] = []

    async def listen(http: Any) -> None:
        async with sdk(anthropic, http).messages.stream(**asked(STALL)) as stream:
            async for text in stream.text_stream:
                heard.append(text)
                mortal_llm.named(stream.current_message_snapshot.model).kill()

    async with AsyncClient.from_data(mortal_llm.data()) as client, client.httpx2("llm") as http:
        with pytest.raises(Exception, match="broke off"):
            await listen(http)
        assert all(view.open_calls == 0 for view in client.service("llm").endpoints())
    assert heard == [WORDS[0]], "not begun again"
    assert mortal_llm.ran == 1
