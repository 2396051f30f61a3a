"""What an outcome means: the core judges the wire, the provider the answers."""

from __future__ import annotations

from ..outcome import OK, Outcome, Verdict, retry_elsewhere
from .blame import blame, blame_result
from .route import Route

__all__ = ["judge"]


def judge(route: Route, outcome: Outcome) -> Verdict:
    """The verdict on one attempt.

    Raises:
        PluginError: The provider failed. Its error's type is told, not its text, which may quote a secret.
    """
    error = outcome.error
    if error is not None:
        return retry_elsewhere(may_have_run=error.phase.may_have_run)
    status = outcome.status
    if status is not None and 200 <= status < 300:
        # The stream began with an error: what a 503 would have said, had it been known in time.
        return OK if outcome.fault is None else retry_elsewhere(may_have_run=True)
    try:
        verdict = route.provider.classify(outcome)
    except Exception as mistake:
        raise blame(route.plan, "classify an answer", mistake) from mistake
    if not isinstance(verdict, Verdict):  # pyright: ignore[reportUnnecessaryIsInstance] - a plug-in is not type-checked
        raise blame_result(route.plan, "classify", verdict, "a Verdict")
    return verdict
