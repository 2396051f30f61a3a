"""Settings of the built-in balancers that are none. What no balancer may trip over stands in the kit."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from pydantic import ValidationError

from directlane import ConfigError, load_file
from directlane.balancers.least_loaded import LeastLoaded
from directlane.core.interfaces.balancer import Member

Members = Callable[[Iterable[float]], list[Member]]


@pytest.mark.parametrize("field", ["full_scan", "samples", "memory", "report_fade"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1, 0, 10**400, "many", None, True, []])
def test_numbers_of_least_loaded_that_are_none(field: str, value: object) -> None:
    if field == "report_fade" and value is None:
        return  # its default
    if value is True and field in ("memory", "full_scan"):
        return  # 1, as pydantic reads it
    with pytest.raises(ValidationError):
        LeastLoaded.model_validate({field: value})


@pytest.mark.parametrize("weight", ["nan", "inf", "-1", "1.5", "1e400", "99999999999999999999", "'3 kg'"])
@pytest.mark.parametrize("where", ["route", "address"])
def test_weights_in_a_file_that_are_none(tmp_path: Path, where: str, weight: str) -> None:
    address = f"{{ url = 'http://10.0.0.7:8000', weight = {weight} }}" if where == "address" else "'http://h:1'"
    route = f"weight = {weight}\n" if where == "route" else ""
    file = tmp_path / "directlane.toml"
    file.write_text(f"[[services.s.routes]]\nprovider = 'static'\naddresses = [{address}]\n{route}")
    with pytest.raises(ConfigError, match="weight"):
        load_file(file, environment={})
