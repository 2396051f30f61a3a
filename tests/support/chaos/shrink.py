"""A shorter run that breaks the same rule: fewer calls, fewer kinds of trouble."""

from __future__ import annotations

from dataclasses import replace

from .run import Failure, run
from .settings import Course

__all__ = ["shrunk"]


def shrunk(failure: Failure, tries: int = 200) -> Failure:
    """The shortest run found in so many tries that breaks the same rule."""
    best = failure
    while tries > 0:
        shorter: Failure | None = None
        for course in _smaller(best.course):
            tries -= 1
            shorter = _tried(course, best.rule)
            if shorter is not None or tries <= 0:
                break
        if shorter is None:
            return best
        best = shorter
    return best


def _smaller(course: Course) -> list[Course]:
    size = course.size
    counts = sorted({size.calls // 2, size.calls * 3 // 4, size.calls - 1} - {0, size.calls})
    fewer = [
        # The same calls at the same moments, and then no more.
        Course(course.seed, replace(size, calls=calls, seconds=size.seconds * calls / size.calls), course.without)
        for calls in counts
    ]
    return [*fewer, *(Course(course.seed, size, course.without | {fault}) for fault in course.faults)]


def _tried(course: Course, rule: str) -> Failure | None:
    try:
        run(course)
    except Failure as failure:
        return failure if failure.rule == rule else None
    return None
