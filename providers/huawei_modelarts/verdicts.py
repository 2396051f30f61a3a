"""What the answers to calls mean. Pure decisions; the status first, then the platform's code.

On the direct path every answer is the model's own: no platform stands between. On the gateway path the platform may
answer instead, with a `ModelArts.*` or `APIG.*` code in the body; an answer without such a code is the model's.
"""

from __future__ import annotations

from ...core.interfaces import http_verdict
from ...core.outcome import FAIL, REAUTHENTICATE, Outcome, Verdict, back_off, retry_elsewhere
from ...core.retry_after import retry_after
from .error_body import limit_window, read_error

__all__ = ["direct_verdict", "gateway_verdict", "is_refused_key", "is_stale_token"]

_STALE_TOKEN = frozenset(
    {
        "ModelArts.0201",  # no token: ours is not fetched yet
        "ModelArts.0202",  # expired
        "ModelArts.0203",  # cannot be read
        "ModelArts.0204",  # cannot be read (the same code with status 400 means something else)
        "ModelArts.4127",
        "ModelArts.4201",
        "ModelArts.6620",
        "APIG.0301",  # the gateway cannot decrypt it
        "APIG.0307",  # "token must be updated"
    }
)
_REFUSED_KEY = frozenset(
    {
        *_STALE_TOKEN,
        "APIG.0303",  # the signature does not verify, or its date is off
        "APIG.0305",
    }
)
_NO_SUCH_SERVICE = "ModelArts.4503"
_INSTANCE_REFUSED = "ModelArts.4302"


def is_stale_token(status: int, content: bytes) -> bool:
    """Whether an answer says that the token is missing or no longer good, so that a new one helps."""
    return status == 401 and read_error(content).code in _STALE_TOKEN


def is_refused_key(status: int, content: bytes) -> bool:
    """Whether an answer says that an access key or its signature is not accepted; a wrong clock is such a case."""
    code = read_error(content).code
    return (status == 401 and code in _REFUSED_KEY) or (status == 403 and code == "ModelArts.0206")


def direct_verdict(outcome: Outcome) -> Verdict:
    """An instance's answer: as HTTP says; and 500 is worth a try elsewhere, though the call may have run."""
    if outcome.status == 500:
        return retry_elsewhere(may_have_run=True)
    return http_verdict(outcome)


def gateway_verdict(outcome: Outcome, *, renews: bool) -> Verdict:
    """The inference gateway's answer, or the model's through it.

    There is one endpoint, so elsewhere means: the gateway chooses another instance.

    Args:
        outcome: How the attempt ended.
        renews: Whether the token or key can be fetched anew.
    """
    status, reply = outcome.status, outcome.reply
    if status is None or reply is None or status < 400:
        return http_verdict(outcome)
    if status == 401 or is_refused_key(status, reply.content):
        return REAUTHENTICATE if renews and is_refused_key(status, reply.content) else FAIL
    error = read_error(reply.content)
    if status == 429:
        told = retry_after(reply.headers)
        return back_off(limit_window(error.message) if told is None else told)
    if status == 500 and error.code == _NO_SUCH_SERVICE:
        return FAIL
    if status in (500, 503) and error.code == _INSTANCE_REFUSED:
        # The gateway could not connect to an instance, or protects it for a while: the call was not run.
        return back_off(retry_after(reply.headers))
    if status == 500:
        return retry_elsewhere(may_have_run=True)
    return http_verdict(outcome)
