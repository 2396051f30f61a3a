"""When an instance gets no calls for a while because it fails, as it stands in a configuration file."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from .base import PositiveDuration, Settings

__all__ = ["NO_EJECTION", "EjectionSettings"]


class EjectionSettings(Settings):
    """When an endpoint that fails gets no calls for a while. One call finds out if it is well again."""

    enabled: bool = Field(default=True, description="Whether endpoints are ejected at all.")
    consecutive_failures: int = Field(
        default=5,
        ge=1,
        le=10_000,
        description="Eject after so many failures in a row. Fewer would eject for a passing weakness.",
    )
    connect_failures: int = Field(
        default=2,
        ge=1,
        le=10_000,
        description="Eject after so many connections in a row that could not be opened: nobody is there, and two say "
        "it as well as five.",
    )
    success_ratio: float = Field(
        default=0.8,
        ge=0,
        le=1,
        description="Eject if a smaller share of the calls goes well. 0 turns this rule off.",
    )
    window: PositiveDuration = Field(
        default=30.0, description="Time over which calls are forgotten, for `success_ratio`."
    )
    min_calls: int = Field(
        default=5, ge=1, le=1_000_000, description="`success_ratio` needs so many calls in the window to say something."
    )
    base_time: PositiveDuration = Field(
        default=5.0,
        description="How long the first ejection takes, at most: up to a fifth less by chance, so that clients do not "
        "all come back at once. Each further one takes twice as long.",
    )
    max_time: PositiveDuration = Field(
        default=300.0, description="No ejection takes longer, so that an endpoint that is well again is found."
    )
    max_share: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="At most this share of the endpoints of a route is ejected, rounded down, and never the last one: "
        "if most of them fail, the cause is elsewhere, and the others would drown.",
    )
    latency_factor: float | None = Field(
        default=None,
        gt=1,
        le=1000,
        description="Eject an endpoint whose answers are right and take so many times as long as those of the others "
        "(the median of their averages), such as 5. Default: never, for calls differ by nature.",
    )

    @model_validator(mode="after")
    def _has_an_order(self) -> Self:
        if self.base_time > self.max_time:
            raise ValueError("base_time must not be longer than max_time")
        return self


NO_EJECTION = EjectionSettings(enabled=False)
"""Nobody is ever ejected."""
