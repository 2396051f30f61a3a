"""How many extra attempts a service may cost, as it stands in a configuration file."""

from __future__ import annotations

from pydantic import Field

from .base import PositiveDuration, Settings

__all__ = ["RetryBudgetSettings"]


class RetryBudgetSettings(Settings):
    """How many attempts a service may make besides the first one of each call.

    Retries, hedges and fallbacks to another tier come out of one budget.
    """

    share: float = Field(
        default=0.2,
        ge=0,
        le=10,
        description="Extra attempts for each call, as a share. 0.2: a service that is down gets a fifth more attempts "
        "than there are calls, and not three times as many.",
    )
    window: PositiveDuration = Field(
        default=10.0, description="How long calls count: what they earned fades over about this time."
    )
    per_second: float = Field(
        default=1.0, ge=0, le=1_000_000, description="Extra attempts per second, however few the calls are."
    )
    minimum: int = Field(
        default=100,
        ge=0,
        le=1_000_000,
        description="A reserve of extra attempts, there from the start and filled up again by `per_second`. It should "
        "cover the calls that are open at one instance when it dies: they all need another one at the same moment.",
    )
