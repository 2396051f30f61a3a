"""LangChain, on a client of OpenAI that knows httpx only, talks to our instances through the httpx door.

It runs in an environment of its own: the tests have a newer client of OpenAI.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from door_lab import TOKEN, Llm
from llm_app import WORDS

pytestmark = pytest.mark.vendor
VARIABLE = "DIRECTLANE_LANGCHAIN_PYTHON"
VENDORED = Path(__file__).parents[2] / ".vendor" / "langchain" / "bin" / "python"
SCRIPT = """
import asyncio, json, sys, warnings
warnings.simplefilter("error", UserWarning)
import directlane
from langchain_openai import ChatOpenAI

data = json.load(sys.stdin)
known = dict(model="m", api_key="not-the-token", max_retries=0)

def whole_and_streamed():
    with directlane.Client.from_data(data) as client, client.http("llm") as http:
        chat = ChatOpenAI(http_client=http, base_url=str(http.base_url.join("v1")), **known)
        yield chat.invoke("who notices?").content
        yield "".join(str(piece.content) for piece in chat.stream("who notices?"))

async def whole_and_streamed_async():
    async with directlane.AsyncClient.from_data(data) as client, client.http("llm") as http:
        chat = ChatOpenAI(http_async_client=http, base_url=str(http.base_url.join("v1")), **known)
        yield (await chat.ainvoke("who notices?")).content
        yield "".join([str(piece.content) async for piece in chat.astream("who notices?")])

async def texts():
    return [text async for text in whole_and_streamed_async()]

print(json.dumps(asyncio.run(texts()) if sys.argv[1] == "async" else list(whole_and_streamed())))
"""


@pytest.mark.parametrize("colour", ["sync", "async"])
def test_nobody_notices_that_the_instance_with_the_request_is_killed(mortal_llm: Llm, colour: str) -> None:
    interpreter = Path(os.environ.get(VARIABLE) or VENDORED)
    if not interpreter.exists():
        pytest.skip(f"no Python with langchain-openai: run `python tools/vendor_envs.py langchain`, or set {VARIABLE}")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "LANGSMITH_"))}
    with mortal_llm.killing_who_gets_the_next() as dead:
        ended = subprocess.run(
            [interpreter, "-c", SCRIPT, colour],
            input=json.dumps(mortal_llm.data()),
            capture_output=True,
            text=True,
            env=environment,
            timeout=90,
            check=False,
        )
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout.splitlines()[-1]) == ["".join(WORDS)] * 2
    assert len(dead) == 1
    assert mortal_llm.ran == 3, "the held one, its second run, and the stream"
    assert TOKEN not in ended.stderr
