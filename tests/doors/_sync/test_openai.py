# Made by tools/unasync.py from tests/doors/_async/test_openai.py. Change that file, then run the tool.
"""The client of OpenAI's own SDK talks to our instances, through the doors of both libraries. For sync code."""

from __future__ import annotations

from typing import Any

import pytest
from door_lab import Llm, open_door
from llm_app import STALL, WORDS

from directlane import CallError, Client, RepeatedRetriesWarning

pytestmark = pytest.mark.anyio
TEXT = "".join(WORDS)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"  # what the doors do on trio, `test_doors` shows


ASKED: list[Any] = [{"role": "user", "content": "who notices?"}]


def sdk(openai: Any, http: Any, **options: Any) -> Any:
    # The key is replaced by the provider's: the instances accept nothing else.
    options = {"max_retries": 0, **options}
    return openai.OpenAI(http_client=http, base_url=http.base_url.join("v1"), api_key="not-the-token", **options)


def said(stream: Any) -> str:
    return "".join([chunk.choices[0].delta.content for chunk in stream])


def test_whole_answers(library: Any, openai: Any, llm: Llm) -> None:
    with Client.from_data(llm.data()) as client, open_door(library, client, "llm") as http:
        ai = sdk(openai, http)
        answers = [ai.chat.completions.create(model="m", messages=ASKED) for _ in range(6)]
    assert {answer.choices[0].message.content for answer in answers} == {TEXT}
    assert {answer.model for answer in answers} == {"llm-1", "llm-2", "llm-3"}, "shared out"


def test_streamed_answers(library: Any, openai: Any, llm: Llm) -> None:
    with Client.from_data(llm.data()) as client, open_door(library, client, "llm") as http:
        ai = sdk(openai, http)
        with ai.chat.completions.create(model="m", messages=ASKED, stream=True) as stream:
            assert said(stream) == TEXT
        assert all(view.open_calls == 0 for view in client.service("llm").endpoints())


@pytest.mark.parametrize("streams", [False, True])
def test_nobody_notices_that_the_instance_with_the_request_is_killed(
    library: Any, openai: Any, mortal_llm: Llm, streams: bool
) -> None:
    with Client.from_data(mortal_llm.data()) as client, open_door(library, client, "llm") as http:
        ai = sdk(openai, http)
        with mortal_llm.killing_who_gets_the_next() as dead:
            answer = ai.chat.completions.create(model="m", messages=ASKED, stream=streams)
            text = said(answer) if streams else answer.choices[0].message.content
        assert text == TEXT
        assert len(dead) == 1
        later = [ai.chat.completions.create(model="m", messages=ASKED) for _ in range(6)]
        assert dead[0] not in {answer.model for answer in later}
    assert mortal_llm.ran == 1 + 1 + 6, "the held one, its second run, and those after it"


def test_a_stream_that_had_begun_ends_with_an_error(library: Any, openai: Any, mortal_llm: Llm) -> None:
    asked: list[Any] = [{"role": "user", "content": STALL}]
    with Client.from_data(mortal_llm.data()) as client, open_door(library, client, "llm") as http:
        ai = sdk(openai, http)
        heard: list[str] = []

        def listen() -> None:
            with ai.chat.completions.create(model="m", messages=asked, stream=True) as stream:
                for chunk in stream:
                    heard.append(chunk.choices[0].delta.content)
                    mortal_llm.named(chunk.model).kill()

        with pytest.raises((library.TransportError, openai.APIConnectionError)) as broken:
            listen()
        assert heard == [WORDS[0]], "not begun again"
        assert all(view.open_calls == 0 for view in client.service("llm").endpoints())
    assert mortal_llm.ran == 1
    assert is_caused_by_ours(broken.value)


def is_caused_by_ours(error: BaseException | None) -> bool:
    while error is not None and not isinstance(error, CallError):
        error = error.__cause__
    return error is not None


def test_errors_are_those_of_the_sdk(library: Any, openai: Any, llm: Llm) -> None:
    for instance in llm.instances:
        instance.kill()
    with Client.from_data(llm.data()) as client, open_door(library, client, "llm") as http:
        with pytest.raises(openai.APIConnectionError) as refused:
            sdk(openai, http).chat.completions.create(model="m", messages=ASKED)
        assert is_caused_by_ours(refused.value)
        # The SDK's own repeats come on top of ours, and are told.
        with pytest.warns(RepeatedRetriesWarning), pytest.raises(openai.APIConnectionError):
            sdk(openai, http, max_retries=1).chat.completions.create(model="m", messages=ASKED)


def test_a_request_to_another_host_is_refused(library: Any, openai: Any, llm: Llm) -> None:
    with Client.from_data(llm.data()) as client, open_door(library, client, "llm") as http:
        ai = openai.OpenAI(http_client=http, api_key="not-the-token", max_retries=0)
        with pytest.raises(openai.APIConnectionError) as refused:
            ai.chat.completions.create(model="m", messages=ASKED)
    assert isinstance(refused.value.__cause__, library.UnsupportedProtocol)
    assert "base_url=" in str(refused.value.__cause__)
    assert llm.ran == 0
