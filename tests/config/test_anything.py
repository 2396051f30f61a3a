"""Whatever stands in a configuration: a Config or a ConfigError comes out, and no secret."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from directlane.core.config.load import load_data, load_file
from directlane.core.errors import ConfigError
from directlane.core.plugins.registry import Registry

WORDS = st.sampled_from(
    [
        *("plugins", "discovery", "services", "routes", "provider", "service", "token", "login", "password", "user"),
        *("balancer", "transport", "kind", "cloud", "sticky", "auto", "replicas", "timeout", "weight", "name", "keys"),
        *("${X}", "${NOPE}", "$${", "${", "file:x", "5s", "", "only", "block", "labels", "port", "interval", "\0"),
    ]
)
VALUES: st.SearchStrategy[object] = st.recursive(
    st.one_of(WORDS, st.integers(-3, 3), st.none(), st.booleans(), st.floats(), st.binary(max_size=2)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(WORDS, inner, max_size=4)),
    max_leaves=10,
)
ROUTES = st.lists(st.dictionaries(WORDS, VALUES, max_size=3).map(lambda route: {"provider": "cloud", **route}))
SERVICES = st.dictionaries(WORDS, st.dictionaries(WORDS, VALUES, max_size=3), max_size=2)

# The registry is only read.
shared = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@shared
@given(data=st.dictionaries(WORDS, VALUES), services=SERVICES, routes=ROUTES)
def test_any_data(
    registry: Registry, data: dict[str, object], services: dict[str, dict[str, object]], routes: list[object]
) -> None:
    for service in services.values():
        service["routes"] = routes
    for whole in (data, {**data, "services": services}):
        assert all(message and "\n" not in message for message in messages(whole, registry))


def messages(data: dict[str, object], registry: Registry) -> list[str]:
    try:
        load_data(data, source="x", environment={"X": "value"}, registry=registry)
    except ConfigError as error:
        return [problem.message for problem in error.problems]
    return []


@shared
@given(text=st.text(alphabet="ab:[]{}.,#\"'&*!|>-?%@` \n\t=1\0é", max_size=40))
@pytest.mark.parametrize("name", ["a.toml", "a.yaml", "a.json"])
def test_any_text(registry: Registry, name: str, text: str) -> None:
    with TemporaryDirectory() as folder:
        file = Path(folder) / name
        file.write_text(text, encoding="utf-8")
        with pytest.raises(ConfigError) as caught:
            load_file(file, environment={}, registry=registry)
        assert caught.value.problems


MISTAKES: list[dict[str, object]] = [
    {},
    {"more": 1},
    {"token": 3},
    {"port": "x"},
    {"access": "x"},
    {"login": {"user": "a", "password": "sesame-open", "more": 1}},
    {"login": {"user": 1, "password": "${X}"}},
    {"login": "sesame-open"},
    {"login": ["sesame-open"]},
    {"login": {"user": "a", "password": ["sesame-open"]}},
    {"keys": "sesame-open"},
    {"keys": ["sesame-open", "sesame\nopen", {"sesame": "open"}]},
    {"keys": ["sesame-${open}"]},
    {"provider": "clod"},
    {"provider": "crashing"},
    {"lifetime": "${X}"},
    {"credential": {"type": "sesame", "ready": "sesame-open"}},
    {"credential": {"type": "pair", "access_key": 1, "secret_key": "sesame-open"}},
    {"credential": "sesame-open"},
]


@pytest.mark.parametrize("mistake", MISTAKES)
@pytest.mark.parametrize("token", ["${X}", "sesame-open", "open-${X}", "sesame-${NOPE}", "sesame-${"])
@pytest.mark.parametrize("suffix", [".json", ".yaml"])
def test_no_mistake_shows_a_secret(
    registry: Registry, tmp_path: Path, mistake: dict[str, object], token: str, suffix: str
) -> None:
    file = tmp_path / f"a{suffix}"
    route = {"provider": "cloud", "service": "x", "token": token, **mistake}
    file.write_text(json.dumps({"services": {"a": {"timeout": "bad", "routes": [route, {"provider": "cloud"}]}}}))
    with pytest.raises(ConfigError) as caught:
        load_file(file, environment={"X": "sesame-open"}, registry=registry)
    assert "sesame" not in str(caught.value)
    assert "sesame" not in repr(caught.value.problems)
