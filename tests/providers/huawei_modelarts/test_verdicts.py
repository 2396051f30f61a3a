"""What the answers to calls mean, on the direct path and through the gateway."""

from __future__ import annotations

import json

import pytest

from directlane.core.errors import Phase
from directlane.core.message import Headers, Reply
from directlane.core.outcome import FAIL, OK, REAUTHENTICATE, Action, Outcome, back_off, retry_elsewhere
from directlane.providers.huawei_modelarts.verdicts import direct_verdict, gateway_verdict

MAY_HAVE_RUN = retry_elsewhere(may_have_run=True)


def answer(status: int, code: str = "", message: str = "", headers: Headers = ()) -> Outcome:
    content = json.dumps({"error_code": code, "error_msg": message}).encode() if code else b"not JSON"
    return Outcome(Phase.DONE, 0.1, Reply(status, headers, content))


@pytest.mark.parametrize("status", [200, 204, 302])
def test_success_on_both_paths(status: int) -> None:
    assert direct_verdict(answer(status)) == OK
    assert gateway_verdict(answer(status), renews=True) == OK


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 422, 501])
def test_direct_refusals_are_the_callers(status: int) -> None:
    assert direct_verdict(answer(status, "ModelArts.0202")) == FAIL


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_direct_server_errors_are_tried_elsewhere_and_may_have_run(status: int) -> None:
    assert direct_verdict(answer(status)) == MAY_HAVE_RUN


def test_direct_429_waits_as_told() -> None:
    assert direct_verdict(answer(429, headers=(("Retry-After", "3"),))) == back_off(3.0)


@pytest.mark.parametrize("code", ["APIG.0307", "APIGW.0307", "APIG.0301", "ModelArts.0201", "ModelArts.0202"])
def test_gateway_stale_token_is_renewed_only_where_it_can_be(code: str) -> None:
    assert gateway_verdict(answer(401, code), renews=True) == REAUTHENTICATE
    assert gateway_verdict(answer(401, code), renews=False) == FAIL


@pytest.mark.parametrize("outcome", [answer(401), answer(401, "ModelArts.4203"), answer(400, "ModelArts.0204")])
def test_gateway_refusals_that_a_new_token_does_not_cure(outcome: Outcome) -> None:
    assert gateway_verdict(outcome, renews=True) == FAIL


def test_gateway_429_waits_as_told_or_as_the_text_hints() -> None:
    hint = "policy user over ratelimit,limit:20,time:1 minute"
    told = (("Retry-After", "3"),)
    assert gateway_verdict(answer(429, "ModelArts.4206"), renews=False) == back_off(None)
    assert gateway_verdict(answer(429, "APIG.0308", hint), renews=False) == back_off(60.0)
    assert gateway_verdict(answer(429, "APIG.0308", hint, told), renews=False) == back_off(3.0)


@pytest.mark.parametrize("status", [500, 503])
def test_gateway_that_cannot_connect_to_an_instance_did_not_run_the_call(status: int) -> None:
    verdict = gateway_verdict(answer(status, "ModelArts.4302"), renews=False)
    assert verdict.action is Action.BACK_OFF
    assert not verdict.may_have_run


def test_gateway_code_4503_means_no_service_with_500_and_too_slow_with_504() -> None:
    assert gateway_verdict(answer(500, "ModelArts.4503"), renews=False) == FAIL
    assert gateway_verdict(answer(504, "ModelArts.4503"), renews=False) == MAY_HAVE_RUN


def test_gateway_500_of_the_model_may_have_run() -> None:
    assert gateway_verdict(answer(500), renews=False) == MAY_HAVE_RUN
