"""Load reports in the headers of answers: both forms as servers write them, and anything else."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from directlane.core.load_report import LoadReport, parse_load_report, report_in

TRITON = (
    "cpu_utilization=0.3, mem_utilization=0.8, rps_fractional=10.0, eps=1, named_metrics.custom_metric_util=0.4",
    (
        '{"cpu_utilization": 0.3, "mem_utilization": 0.8, "rps_fractional": 10.0, "eps": 1, '
        '"named_metrics": {"custom_metric_util": 0.4}}'
    ),
)


@pytest.mark.parametrize("value", [f"TEXT {TRITON[0]}", f"JSON {TRITON[1]}", f"text  {TRITON[0]}", *TRITON])
def test_all_forms_say_the_same(value: str) -> None:
    assert parse_load_report(value) == LoadReport(
        {"cpu_utilization": 0.3, "mem_utilization": 0.8, "rps_fractional": 10.0, "eps": 1.0},
        {"custom_metric_util": 0.4},
    )


@pytest.mark.parametrize(
    "value",
    [
        "TEXT named_metrics.kv_cache_usage_perc=0.25, named_metrics.num_requests_waiting=3.0",
        'JSON {"named_metrics": {"kv_cache_usage_perc": 0.25, "num_requests_waiting": 3.0}}',
        "named_metrics.kv_cache_usage_perc=0.25,named_metrics.num_requests_waiting=3",
    ],
)
def test_as_vllm_writes_it(value: str) -> None:
    report = parse_load_report(value)
    assert report is not None
    assert report.named == {"kv_cache_usage_perc": 0.25, "num_requests_waiting": 3.0}
    assert report.sum_of(["num_requests_running", "num_requests_waiting"]) == 3.0
    assert report.sum_of(["num_requests_running"]) is None


def test_short_names_are_the_long_ones() -> None:
    report = parse_load_report("TEXT cpu=0.3,mem=0.8,rps=5,application=0.5")
    assert report is not None
    assert set(report.values) == {"cpu_utilization", "mem_utilization", "rps_fractional", "application_utilization"}


@pytest.mark.parametrize(
    "number", ["-1", "NaN", "inf", "-inf", "1e999", "1e19", "", "0x10", "1_000", "true", "1 2", "٣"]
)
def test_what_is_no_number_of_0_or_more_was_not_said(number: str) -> None:
    assert parse_load_report(f"TEXT cpu_utilization={number}, eps=0") == LoadReport({"eps": 0.0})


@pytest.mark.parametrize("number", ["-1", "NaN", "Infinity", "1e999", "1e19", '"3"', "true", "null", "[1]", "9" * 400])
def test_the_same_in_json(number: str) -> None:
    value = f'JSON {{"cpu_utilization": {number}, "eps": 0, "named_metrics": {{"a": {number}}}}}'
    assert parse_load_report(value) == LoadReport({"eps": 0.0})


@pytest.mark.parametrize(
    "value",
    [
        "",
        "TEXT",
        "TEXT ",
        "BIN CZqZmZmZmbk/",
        "JSON []",
        "JSON {",
        "JSON " + "[" * 8000,
        "JSON " + "9" * 5000,
        "TEXT utilization.gpu=0.5",
        "TEXT cpu=0.5," + "x" * 8192,
    ],
)
def test_nothing_that_can_be_used(value: str) -> None:
    assert parse_load_report(value) is None


def test_the_header_is_found_by_any_case_and_its_absence_is_no_report() -> None:
    assert report_in((("Endpoint-Load-Metrics", "TEXT cpu=1"),)) == LoadReport({"cpu_utilization": 1.0})
    assert report_in((("endpoint-load-metrics-bin", "CZqZmZmZmbk/"),)) is None


@given(st.text() | st.sampled_from(["TEXT ", "JSON ", "BIN ", "{"]).flatmap(lambda head: st.text().map(head.__add__)))
@example("TEXT =,=1,,a=1e9999,a.b.c=1")
def test_anything_at_all_is_read_without_a_word(value: str) -> None:
    _check(parse_load_report(value))


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(st.dictionaries(st.sampled_from(["cpu_utilization", "named_metrics", "eps", "x"]), _json))
def test_any_json_is_read_without_a_word(value: dict[str, object]) -> None:
    _check(parse_load_report("JSON " + json.dumps(value)))


@given(st.dictionaries(st.from_regex(r"[a-z_]{1,12}", fullmatch=True), st.floats(0, 1e18)))
def test_named_metrics_survive_both_forms(named: dict[str, float]) -> None:
    text = "TEXT " + ", ".join(f"named_metrics.{name}={number}" for name, number in named.items())
    expected = LoadReport({}, named) if named else None
    assert parse_load_report(text) == expected
    assert parse_load_report("JSON " + json.dumps({"named_metrics": named})) == expected


def _check(report: LoadReport | None) -> None:
    if report is not None:
        numbers = [*report.values.values(), *report.named.values()]
        assert numbers
        assert all(0 <= number <= 1e18 for number in numbers)
