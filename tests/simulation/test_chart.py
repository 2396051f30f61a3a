"""The chart is a picture that can be read, of whatever came out."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

from directlane.balancers.least_loaded import LeastLoaded
from directlane.balancers.weighted_round_robin import WeightedRoundRobin
from directlane.core.simulation import BlackHole, ConstantWork, Poisson, Scenario, Server, SimulationResult, simulate
from directlane.core.simulation.chart import chart

SVG = "{http://www.w3.org/2000/svg}"


def _results(servers: int = 3, calls: int = 200) -> dict[str, SimulationResult]:
    scenario = Scenario([Server(f"s{n}") for n in range(servers)], Poisson(1.0, calls))
    return {balancer.kind: simulate(scenario, balancer) for balancer in (LeastLoaded(), WeightedRoundRobin())}


def _texts(picture: str) -> list[str]:
    return ["".join(text.itertext()) for text in ET.fromstring(picture).iter(f"{SVG}text")]


def test_it_says_what_it_shows() -> None:
    results = _results()
    texts = _texts(chart("Scenario of mine", "A sentence. Seed 1.", results))
    for expected in ("Scenario of mine", "A sentence. Seed 1.", "least_loaded", "weighted_round_robin", "s0", "s2"):
        assert expected in texts
    assert f"{results['least_loaded'].p99:.1f} s" in texts


def test_the_same_results_give_the_same_bytes() -> None:
    assert chart("a", "b", _results()) == chart("a", "b", _results())


def test_everything_stands_inside_the_picture() -> None:
    root = ET.fromstring(chart("a", "many words " * 40, _results(servers=300)))
    width, height = float(root.attrib["width"]), float(root.attrib["height"])
    for shape in (*root.iter(f"{SVG}text"), *root.iter(f"{SVG}rect"), *root.iter(f"{SVG}line")):
        x, y = (float(shape.get(name) or shape.get(f"{name}1") or 0) for name in "xy")
        assert 0 <= x <= width
        assert 0 <= y <= height


def test_names_are_text_and_not_markup() -> None:
    server = Server("<script>&")
    results = {"<b>": simulate(Scenario([server], Poisson(1.0, 50)), LeastLoaded())}
    texts = _texts(chart("<title>", "&", results))
    assert {"<title>", "&", "<b>", "<script>&"} <= set(texts)


@pytest.mark.parametrize("work", [1e-9, 1.0, 1e6])
def test_any_time_has_an_axis(work: float) -> None:
    # One value only: the axis still has two ends.
    scenario = Scenario([Server("a", slots=50)], Poisson(1 / work, 50, ConstantWork(work)))
    ET.fromstring(chart("a", "b", {"x": simulate(scenario, LeastLoaded())}))


def test_no_answer_at_all() -> None:
    scenario = Scenario([Server("a", faults=[BlackHole()])], Poisson(1.0, 50), timeout=1.0)
    texts = _texts(chart("a", "b", {"x": simulate(scenario, LeastLoaded())}))
    assert {"none", "100.00%"} <= set(texts)
