"""What the settings models share."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import AfterValidator, BaseModel, ConfigDict

from ..fields import Duration

__all__ = ["PositiveDuration", "Settings"]


def _above_zero(seconds: float) -> float:
    if seconds <= 0:
        raise ValueError("the duration must be above 0")
    return seconds


PositiveDuration = Annotated[Duration, AfterValidator(_above_zero)]


class Settings(BaseModel):
    """A table of a configuration file: unknown keys are mistakes, and no value stands in an error."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)
