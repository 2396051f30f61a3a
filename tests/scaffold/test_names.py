"""Which names a provider may have, and what they become."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from directlane.core.scaffold import names_of
from directlane.core.scaffold.names import MAX_LENGTH


@pytest.mark.parametrize(
    ("kind", "distribution", "module", "prefix"),
    [
        ("acme", "directlane-acme", "directlane_acme", "Acme"),
        ("my_cloud", "directlane-my-cloud", "directlane_my_cloud", "MyCloud"),
        ("k8s_2", "directlane-k8s-2", "directlane_k8s_2", "K8s2"),
    ],
)
def test_what_a_name_becomes(kind: str, distribution: str, module: str, prefix: str) -> None:
    names = names_of(kind)
    assert (names.kind, names.distribution, names.module, names.prefix) == (kind, distribution, module, prefix)


@pytest.mark.parametrize(
    ("given", "near"),
    [
        ("My-Cloud", "my_cloud"),
        ("directlane-acme", "acme"),
        ("a__b", "a_b"),
        ("_acme_", "acme"),
        ("acme\n", "acme"),
        ("../acme", "acme"),
        ("a" * 25, "a" * 24),
    ],
)
def test_a_name_that_is_nearly_one_is_refused_with_the_one_that_is_meant(given: str, near: str) -> None:
    with pytest.raises(ValueError, match=re.escape(f"Next: take {near!r}.")):
        names_of(given)


@pytest.mark.parametrize("given", ["", "7", "7up", "云", "{{ name }}", "__", "-"])
def test_a_name_that_is_nothing_is_refused_with_an_example(given: str) -> None:
    with pytest.raises(ValueError, match="Next: take"):
        names_of(given)


@given(st.text(alphabet="aZ1_-. é\n", max_size=30))
def test_any_text_is_a_name_that_fits_everywhere_or_is_refused(text: str) -> None:
    try:
        names = names_of(text)
    except ValueError:
        return
    assert names.kind == text
    assert len(text) <= MAX_LENGTH
    assert names.kind.isascii()
    assert names.module.isidentifier()
    assert f"{names.prefix}Provider".isidentifier()
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", names.distribution)
