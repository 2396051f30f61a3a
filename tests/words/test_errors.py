"""The error tree: the drawing, the reference page and the classes say the same; errors carry their facts everywhere."""

from __future__ import annotations

import inspect
import pickle
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import directlane
from directlane.core import errors
from directlane.core.endpoint import Endpoint
from directlane.core.errors import (
    AttemptRecord,
    AttemptsError,
    CallError,
    ClosedError,
    ConfigError,
    ConfigProblem,
    CredentialError,
    DeadlineError,
    DirectlaneError,
    DiscoveryError,
    DiscoveryRefused,
    DiscoveryThrottled,
    DiscoveryUnreadable,
    InvalidRequestError,
    NoEndpointError,
    Phase,
    PluginError,
    QueueFullError,
    TransportError,
    UnknownServiceError,
)
from directlane.core.message import Reply, StatusError

HERE = Endpoint("10.0.0.1", 80)
THERE = Endpoint("10.0.0.2", 80)
REFUSED = AttemptRecord(HERE, Phase.CONNECT, 0.0012, error="connection refused")
BUSY = AttemptRecord(THERE, Phase.DONE, 0.25, status=503)

ONE_OF_EACH: list[DirectlaneError] = [
    DirectlaneError("text"),
    ConfigError("a.toml", [ConfigProblem("text", "services.a", 3, 7)]),
    PluginError("text", plugin="acme", distribution="acme 1.0"),
    UnknownServiceError("scorecrad", ["scorecard"], "scorecard"),
    InvalidRequestError("text"),
    ClosedError("text"),
    DiscoveryError("text"),
    DiscoveryRefused("text", status=500),
    DiscoveryThrottled("text", retry_after=3.0),
    DiscoveryUnreadable("text"),
    CredentialError("text", permanent=True),
    TransportError("text", phase=Phase.SEND, timed_out=True),
    CallError("text", service="a", attempts=[REFUSED, BUSY], list_age=2.0),
    NoEndpointError("text", service="a"),
    AttemptsError("text", service="a", attempts=[REFUSED], list_age=2.0),
    DeadlineError("text", service="a"),
    QueueFullError("text", service="a"),
    StatusError(Reply(503, content=b"text", endpoint=HERE)),
]


def _classes(root: type[DirectlaneError], depth: int = 0) -> Iterator[tuple[int, str]]:
    """The real tree, in the order in which the classes are written; a plug-in's own errors are not ours."""
    yield depth, root.__name__
    for child in root.__subclasses__():
        if child.__module__ in (errors.__name__, StatusError.__module__):
            yield from _classes(child, depth + 1)


def _drawn(text: str) -> list[tuple[int, str]]:
    """Depth and name of each line of the first drawing in a text."""
    lines = iter(text.splitlines())
    root = next(line for line in lines if line.strip() == DirectlaneError.__name__)
    margin = len(root) - len(root.lstrip())
    drawn = [(0, root.strip())]
    for line in lines:
        match = re.match(r"[ │]*[├└]── (?=\w)", line)
        if match is None:
            break
        name = line[match.end() :].split()[0]
        drawn.append(((match.end() - margin) // 4, name))
    return drawn


def _page() -> str:
    folder = Path(__file__).parents[2] / "docs" / "reference"
    return (folder / "errors.md").read_text(encoding="utf-8")


class TestTheTree:
    def test_the_drawing_is_the_tree(self) -> None:
        assert sorted(_drawn(errors.__doc__ or "")) == sorted(_classes(DirectlaneError))

    def test_each_drawn_class_hangs_where_it_belongs(self) -> None:
        above: list[str] = []
        for depth, name in _drawn(errors.__doc__ or ""):
            del above[depth:]
            if above:
                assert getattr(directlane, name).__base__.__name__ == above[-1]
            above.append(name)

    def test_every_error_is_public(self) -> None:
        assert {name for _, name in _classes(DirectlaneError)} <= set(directlane.__all__)

    def test_one_of_each_is_tested_here(self) -> None:
        assert [type(error).__name__ for error in ONE_OF_EACH] == [name for _, name in _classes(DirectlaneError)]


class TestTheReferencePage:
    def test_its_drawing_is_the_tree(self) -> None:
        assert _drawn(_page()) == _drawn(errors.__doc__ or "")

    def test_each_class_has_a_heading_in_the_order_of_the_drawing(self) -> None:
        assert re.findall(r"^### `(\w+)`$", _page(), re.MULTILINE) == [name for _, name in _drawn(_page())]

    @pytest.mark.parametrize("error", ONE_OF_EACH, ids=lambda error: type(error).__name__)
    def test_each_class_names_its_attributes_and_what_to_do(self, error: DirectlaneError) -> None:
        section = _page().split(f"### `{type(error).__name__}`\n")[1].split("\n### ")[0].split("\n## ")[0]
        inherited = set[str]()
        for base in type(error).__mro__[1:]:
            for other in ONE_OF_EACH:
                if type(other) is base:
                    inherited |= set(_facts(other))
        named = set(re.findall(r"^- `(\w+)`", section, re.MULTILINE))
        assert named == set(_facts(error)) - inherited
        assert "**What to do.**" in section

    def test_each_phase_is_in_its_table(self) -> None:
        rows = re.findall(r"^\| `(\w+)` \| `\"(\w+)\"` \| (yes|no) \|", _page(), re.MULTILINE)
        assert rows == [(phase.name, phase.value, "yes" if phase.may_have_run else "no") for phase in Phase]


def _facts(error: DirectlaneError) -> list[str]:
    """The attributes and properties of an error that are its own kind's, not every exception's."""
    properties = [name for name, value in inspect.getmembers(type(error)) if isinstance(value, property)]
    return [*vars(error), *properties]


class TestFacts:
    @pytest.mark.parametrize("error", ONE_OF_EACH, ids=lambda error: type(error).__name__)
    def test_an_error_reaches_another_process_whole(self, error: DirectlaneError) -> None:
        arrived: DirectlaneError = pickle.loads(pickle.dumps(error))
        assert type(arrived) is type(error)
        assert str(arrived) == str(error)
        assert vars(arrived) == vars(error)

    def test_a_config_error_shows_file_place_and_path(self) -> None:
        error = ConfigError(
            "a.toml",
            [
                ConfigProblem("unknown key", "services.a.tokne", 3, 7),
                ConfigProblem("is empty", "services", 1),
                ConfigProblem("cannot be read"),
            ],
        )
        assert str(error).splitlines() == [
            "a.toml:3:7: services.a.tokne: unknown key",
            "a.toml:1: services: is empty",
            "a.toml: cannot be read",
        ]

    def test_a_throttled_discovery_is_a_refused_one(self) -> None:
        error = DiscoveryThrottled("text", retry_after=3.0)
        assert isinstance(error, DiscoveryRefused)
        assert (error.status, error.retry_after) == (429, 3.0)

    def test_a_call_error_knows_how_far_it_came(self) -> None:
        nothing = NoEndpointError("text")
        assert (nothing.phase, nothing.may_have_run, nothing.attempts, nothing.list_age) == (None, False, (), None)
        refused = AttemptsError("text", attempts=[REFUSED])
        assert (refused.phase, refused.may_have_run) == (Phase.CONNECT, False)
        both = AttemptsError("text", attempts=[BUSY, REFUSED])
        assert (both.phase, both.may_have_run) == (Phase.CONNECT, True)

    def test_an_attempt_in_one_line(self) -> None:
        assert str(REFUSED) == "http://10.0.0.1:80 failed in phase connect: connection refused (1 ms)"
        assert str(BUSY) == "http://10.0.0.2:80 status 503 (250 ms)"

    def test_a_status_error_shows_who_and_never_the_body(self) -> None:
        error = StatusError(Reply(503, content=b"Bearer s3cret", endpoint=HERE))
        assert str(error) == "status 503 from http://10.0.0.1:80\nNext: read the answer in `error.reply`."
        third = StatusError(Reply(503, endpoint=HERE, attempts=3))
        assert str(third).startswith("status 503 from http://10.0.0.1:80 after 3 attempts\n")
        assert error.reply.content == b"Bearer s3cret"
        assert str(StatusError(Reply(404))).startswith("status 404\n")
