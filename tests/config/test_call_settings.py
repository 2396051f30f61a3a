"""The settings of calls that stand in tables of their own, and those that are no plain numbers."""

from __future__ import annotations

import pytest

from directlane import CallSettings, ConfigError, load_data


def settings(**service: object) -> CallSettings:
    route = {"provider": "static", "addresses": ["http://10.0.0.7:8000"]}
    data = {"services": {"svc": {"routes": [route], **service}}}
    return load_data(data, source="test", environment={}).services["svc"].calls


def test_the_retry_budget() -> None:
    budget = settings(retry_budget={"share": 0.5, "window": "1m"}).retry_budget
    assert (budget.share, budget.window, budget.per_second, budget.minimum) == (0.5, 60.0, 1.0, 100)
    with pytest.raises(ConfigError, match=r"services.svc.retry_budget.minimum"):
        settings(retry_budget={"minimum": -1})
    with pytest.raises(ConfigError, match=r"services.svc.retry_budget.shares"):
        settings(retry_budget={"shares": 1})


@pytest.mark.parametrize("name", ["", "X Left", "X-Left:", "Content-Length", "host", "Authorization"])
def test_the_deadline_header_is_a_field_of_its_own(name: str) -> None:
    assert settings(deadline_header="X-Request-Timeout-Ms").deadline_header == "X-Request-Timeout-Ms"
    with pytest.raises(ConfigError, match="no meaning of its own, such as X-Request-Timeout-Ms"):
        settings(deadline_header=name)


def test_a_hedge_has_one_rule() -> None:
    assert settings().hedge is None
    hedge = settings(hedge={"after": "100ms"}).hedge
    assert hedge is not None
    assert (hedge.after, hedge.percentile) == (0.1, None)
    for wrong in ({}, {"after": "1s", "percentile": 95}):
        with pytest.raises(ConfigError, match="needs exactly one of: after, percentile"):
            settings(hedge=wrong)
    with pytest.raises(ConfigError, match=r"services.svc.hedge.percentile"):
        settings(hedge={"percentile": 20})


def test_slots() -> None:
    assert settings().slots is None
    slots = settings(slots={"per_endpoint": 4}).slots
    assert slots is not None
    assert (slots.per_endpoint, slots.queue, slots.adaptive) == (4, 64, False)
    with pytest.raises(ConfigError, match=r"services.svc.slots.per_endpoint"):
        settings(slots={})
    with pytest.raises(ConfigError, match=r"services.svc.slots: .*must lie between minimum"):
        settings(slots={"per_endpoint": 4, "adaptive": True, "minimum": 5})
