"""What processes tell each other comes through whole, or not at all."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from directlane.core.discovery.publication import Publication, pack, unpack
from directlane.core.discovery.saved_list import SavedListUnreadable

LENGTHS = st.floats(0, 1e9)


@settings(deadline=None)
@given(
    st.builds(
        Publication,
        st.binary(max_size=200),
        LENGTHS,
        LENGTHS,
        st.text(max_size=500),
        st.booleans(),
        st.booleans(),
        st.text(max_size=60),
        LENGTHS,
        st.booleans(),
    )
)
def test_what_is_packed_comes_out(told: Publication) -> None:
    assert unpack(pack(told)) == told


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_anything_else_is_refused_in_one_way(data: bytes) -> None:
    with pytest.raises(SavedListUnreadable):
        unpack(data)


@settings(deadline=None)
@given(st.builds(Publication, st.binary(min_size=1, max_size=50)), st.data())
def test_half_of_it_is_refused(told: Publication, data: st.DataObject) -> None:
    packed = pack(told)
    with pytest.raises(SavedListUnreadable):
        unpack(packed[: data.draw(st.integers(0, len(packed) - 1))])


@pytest.mark.parametrize("length", ["-1", "NaN", "Infinity", "true", '"1"', "null"])
def test_what_is_no_length_of_time_is_refused(length: str) -> None:
    with pytest.raises(SavedListUnreadable):
        unpack(f'{{"body":0,"error":"","list_age":{length},"took":0}}\n'.encode())
