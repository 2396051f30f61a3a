"""Durations are read and written as people do."""

from __future__ import annotations

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from directlane.core.fields import Duration, format_duration, parse_duration

ADAPTER: TypeAdapter[float] = TypeAdapter(Duration)
PATTERN = re.compile(ADAPTER.json_schema()["anyOf"][0]["pattern"])


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("250ms", 0.25),
        ("5s", 5.0),
        ("1m30s", 90.0),
        ("2h", 7200.0),
        ("1.5h", 5400.0),
        (" 1 m 30 s ", 90.0),
        ("5S", 5.0),
        ("100MS", 0.1),
        ("0s", 0.0),
        (3, 3.0),
        (0.5, 0.5),
        (0, 0.0),
    ],
)
def test_good(text: object, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)
    assert ADAPTER.validate_python(text) == pytest.approx(seconds)
    assert not isinstance(text, str) or PATTERN.search(text)


@pytest.mark.parametrize(
    "value",
    ["", " ", "5", "5x", "s", "-5s", "1 0s", "1..5s", ".5s", "5s!", "1e3s", "٣s", "5 s x", "inf", "9" * 400 + "s"],
)
def test_bad_texts(value: str) -> None:
    with pytest.raises(ValueError, match="duration"):
        parse_duration(value)
    assert value.startswith("9") or not PATTERN.search(value)


@pytest.mark.parametrize("value", [True, None, -1, math.nan, math.inf, 10**400, [], {}, b"5s", 1e300])
def test_bad_values(value: object) -> None:
    with pytest.raises(ValueError, match="duration"):
        parse_duration(value)
    with pytest.raises(ValidationError):
        ADAPTER.validate_python(value)


def test_a_long_text_is_cut() -> None:
    with pytest.raises(ValueError) as caught:
        parse_duration("x" * 1000)
    assert len(str(caught.value)) < 120


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0ms"),
        (0.00042, "0.4ms"),
        (0.0035, "3.5ms"),
        (0.01, "10ms"),
        (0.85, "850ms"),
        (0.9994, "999ms"),
        (0.9996, "1s"),
        (4.2, "4.2s"),
        (10, "10s"),
        (59.94, "59.9s"),
        (59.96, "1m"),
        (200, "3m20s"),
        (3599.4, "59m59s"),
        (3599.6, "1h"),
        (7500, "2h5m"),
        (7199.9, "2h"),
        (-5, "-5s"),
        (math.inf, "inf"),
    ],
)
def test_format(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@given(st.floats(0, 1e8))
def test_what_is_written_can_be_read_and_is_near(seconds: float) -> None:
    again = parse_duration(format_duration(seconds))
    assert again == pytest.approx(seconds, rel=0.06, abs=0.00005)


@given(st.floats(0, 1e8))
def test_writing_is_stable(seconds: float) -> None:
    text = format_duration(seconds)
    assert format_duration(parse_duration(text)) == text


@given(st.text(alphabet="0123456789.smh -", max_size=12))
def test_any_text_is_a_duration_or_refused(text: str) -> None:
    try:
        seconds = parse_duration(text)
    except ValueError as error:
        is_too_long = "must be between" in str(error)
        assert is_too_long or not PATTERN.search(text)
    else:
        assert math.isfinite(seconds)
        assert seconds >= 0
        assert PATTERN.search(text)
