"""When a slow call gets a second attempt beside the first one, as it stands in a configuration file."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from .base import PositiveDuration, Settings

__all__ = ["HedgeSettings"]


class HedgeSettings(Settings):
    """A second attempt at another instance while the first one is slow; the first good answer wins.

    Only for calls that may be repeated. Exactly one of `after` and `percentile`.
    """

    after: PositiveDuration | None = Field(default=None, description="Wait so long for the first attempt.")
    percentile: float | None = Field(
        default=None,
        ge=50,
        le=99.9,
        description="Wait as long as this share of recent first attempts took, in percent: to the whole answer, or to "
        "the first event of a stream. 95 hedges one call in twenty.",
    )
    minimum_samples: int = Field(
        default=50,
        ge=10,
        le=500,
        description="With `percentile`: nothing is hedged before so many attempts were seen.",
    )
    threads: int = Field(
        default=64,
        ge=2,
        le=10_000,
        description="Sync code only: threads for attempts that race. Each call takes two; when none is left, calls "
        "run without a hedge.",
    )

    @model_validator(mode="after")
    def _has_one_rule(self) -> Self:
        if (self.after is None) == (self.percentile is None):
            raise ValueError("needs exactly one of: after, percentile")
        return self
