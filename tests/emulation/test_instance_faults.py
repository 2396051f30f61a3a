"""A fault means the same in the process that sets it and in the one that plays it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from directlane.core.emulation import HALF_BODY, HANG, NONE, RESET, Fault, Slow, Status, Stream
from directlane.core.emulation.faults import fault_from_json, fault_to_json

seconds = st.floats(0, 100)
header_lists = st.lists(st.tuples(st.text(), st.text()), max_size=3).map(tuple)
faults: st.SearchStrategy[Fault] = st.one_of(
    st.sampled_from([NONE, HANG, RESET, HALF_BODY]),
    st.builds(Slow, seconds),
    st.builds(Status, st.integers(200, 599), st.binary(), header_lists, st.none() | st.booleans()),
    st.builds(
        Stream,
        st.lists(st.binary(), max_size=4).map(tuple),
        seconds,
        broken=st.booleans(),
        media_type=st.text(),
    ),
)


@given(faults)
def test_json_form_keeps_the_fault(fault: Fault) -> None:
    assert fault_from_json(json.loads(json.dumps(fault_to_json(fault)))) == fault


def test_unknown_kind_is_an_error() -> None:
    with pytest.raises(ValueError, match="no fault of kind 'explode'"):
        fault_from_json({"kind": "explode"})


def test_only_a_refusal_counts_as_not_run() -> None:
    assert Status(429).ran is False
    assert Status(503).ran is True
    assert Status(503, ran=False).ran is False
    assert all(fault.ran for fault in (NONE, Slow(1), HANG, RESET, HALF_BODY, Stream(())))
