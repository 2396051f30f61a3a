"""The TOML writer: what it writes reads back as it was."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from directlane.core.cli.toml_text import toml_text

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
SCALARS = st.one_of(
    TEXTS,
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(TEXTS, inner, max_size=4)),
    max_leaves=15,
)


@settings(deadline=None)
@given(st.dictionaries(TEXTS, VALUES, max_size=5))
def test_round_trip(data: dict[str, Any]) -> None:
    assert tomllib.loads(toml_text(data)) == data


def test_tables_and_lists_of_tables_look_as_people_write_them() -> None:
    data = {"services": {"a": {"repeatable": True, "routes": [{"provider": "static", "addresses": ["x"]}]}}}
    assert toml_text(data) == (
        '[services.a]\nrepeatable = true\n\n[[services.a.routes]]\nprovider = "static"\naddresses = ["x"]\n'
    )


def test_what_toml_has_no_form_for_is_refused() -> None:
    with pytest.raises(TypeError, match="NoneType"):
        toml_text({"a": None})
