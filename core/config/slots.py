"""How many calls an endpoint gets at once, and how many wait, as it stands in a configuration file."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from .base import Settings

__all__ = ["SlotSettings"]

_MOST = 1_000_000


class SlotSettings(Settings):
    """A limit of open calls for each endpoint, and one queue in front of all of them.

    Default: there is no such table, no limit and no queue.
    """

    per_endpoint: int = Field(
        ge=1,
        le=_MOST,
        description="Open calls that one endpoint gets from this client at most, streams until their end included: as "
        "many as it works on at once. With `adaptive`: to begin with.",
    )
    queue: int = Field(
        default=64,
        ge=0,
        le=_MOST,
        description="Calls that may wait for a slot, all endpoints together. One more is refused at once. A queue only "
        "helps against short peaks: it should hold what the slots do in the time that a caller is willing to wait. 0: "
        "no call waits.",
    )
    adaptive: bool = Field(
        default=False,
        description="Whether the limit of each endpoint follows what it can do: times 0.9 when it is overloaded (a "
        "timeout, 429 or 503), one more when calls go well and more than half of the slots are in use; each at most "
        "once in the time of a call.",
    )
    minimum: int = Field(default=1, ge=1, le=_MOST, description="Least limit, with `adaptive`.")
    maximum: int = Field(default=200, ge=1, le=_MOST, description="Greatest limit, with `adaptive`.")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.adaptive and not self.minimum <= self.per_endpoint <= self.maximum:
            raise ValueError(
                f"per_endpoint ({self.per_endpoint}) must lie between minimum ({self.minimum}) and "
                f"maximum ({self.maximum}) where the limit is adaptive"
            )
        return self
