"""Which forms of `affinity` a configuration may have."""

from __future__ import annotations

from typing import Any

import pytest

from directlane.core.config.affinity import AffinitySettings, PromptPrefix
from directlane.core.config.load import load_data
from directlane.core.errors import ConfigError


def _service(affinity: object) -> dict[str, Any]:
    route = {"provider": "static", "addresses": ["http://127.0.0.1:1"]}
    return {"services": {"svc": {"affinity": affinity, "routes": [route]}}}


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ({"header": "X-User"}, AffinitySettings(header="X-User")),
        ({"cookie": "session"}, AffinitySettings(cookie="session")),
        ({"query": "user id"}, AffinitySettings(query="user id")),
        ({"json_pointer": "/user/id"}, AffinitySettings(json_pointer="/user/id")),
        ({"json_pointer": ""}, AffinitySettings(json_pointer="")),
        (
            {"prompt_prefix": {"pointer": "/prompt", "characters": 64, "blocks": 4}},
            AffinitySettings(prompt_prefix=PromptPrefix(pointer="/prompt", characters=64, blocks=4)),
        ),
        ({"prompt_prefix": {}}, AffinitySettings(prompt_prefix=PromptPrefix())),
    ],
)
def test_what_may_be_written(written: object, expected: AffinitySettings) -> None:
    config = load_data(_service(written), source="test", environment={})
    assert config.services["svc"].calls.affinity == expected


def test_there_is_none_by_default() -> None:
    data = _service(None)
    del data["services"]["svc"]["affinity"]
    assert load_data(data, source="test", environment={}).services["svc"].calls.affinity is None


@pytest.mark.parametrize(
    ("written", "sentence"),
    [
        ({}, "needs exactly one of: header, cookie, query, json_pointer, prompt_prefix"),
        ({"header": "X-User", "cookie": "user"}, "needs exactly one of"),
        ({"header": "X User"}, "must be a name without spaces"),
        ({"header": ""}, "must be a name without spaces"),
        ({"cookie": "a=b"}, "must be a name without spaces"),
        ({"query": ""}, "must not be empty"),
        ({"json_pointer": "user/id"}, "begins with '/'"),
        ({"json_pointer": "/a~2"}, "written as '~0'"),
        ({"prompt_prefix": {"blocks": 0}}, "must be 1 or more"),
        ({"prompt_prefix": {"characters": 0}}, "must be 1 or more"),
        ({"prompt_prefix": {"pointer": "messages"}}, "begins with '/'"),
        ({"heder": "X-User"}, 'did you mean "header"?'),
        ("X-User", "must be a table"),
    ],
)
def test_what_may_not(written: object, sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_data(_service(written), source="test", environment={})
    assert sentence in str(caught.value)
    assert "affinity" in str(caught.value)
