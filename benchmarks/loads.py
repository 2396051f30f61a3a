"""What the contenders send and what the upstream answers: small, large, streamed. Standard library only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = [
    "EVENT",
    "EVENTS",
    "LARGE",
    "LOADS",
    "PREDICT",
    "SERVICE",
    "SMALL_ANSWER",
    "STREAM_END",
    "TOKEN",
    "TYPE",
    "Load",
]

SERVICE = "bench"
PREDICT = f"/api/predict/{SERVICE}"
TOKEN = "token-of-a-benchmark"
TYPE = "application/json"

SMALL = b'[{"money_credit": 3000000, "age": 42, "history": [1, 2, 3, 5, 8, 13], "region": "north-west-7", "n": 1}]'
LARGE = b"x" * 65536
EVENT = b'data: {"choices": [{"delta": {"content": "word "}}]}\n\n'
EVENTS = 20
STREAM_END = b"0\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Load:
    """One kind of call.

    Args:
        name: How tables call it.
        body: The request's body.
        path: Goes behind the service's path; the upstream answers by it.
        is_streamed: Whether the answer is read piece by piece.
        size: Bytes of the answer's body.
    """

    name: str
    body: bytes
    path: str
    is_streamed: bool
    size: int

    @property
    def target(self) -> str:
        """The whole path, for contenders that know no service."""
        return PREDICT + self.path


SMALL_ANSWER = b'[{"score": 0.1234, "label": "yes", "reasons": ["income", "age", "history"], "model": "scorecard-7"}]'

LOADS: Mapping[str, Load] = {
    load.name: load
    for load in (
        Load("small", SMALL, "", is_streamed=False, size=len(SMALL_ANSWER)),
        Load("64 KiB", LARGE, "/large", is_streamed=False, size=len(LARGE)),
        Load("stream", SMALL, "/stream", is_streamed=True, size=len(EVENT) * EVENTS),
    )
}
