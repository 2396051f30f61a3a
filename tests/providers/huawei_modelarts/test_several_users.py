"""Several IAM users in `credential`: whose turn it is, who is left out, and when the question fails. No socket."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from modelarts_lab import AKSK, DIRECT, GATEWAY, LIST, NOON, PASSWORD, TOKEN, Talk, login, refusal, route, talk
from pydantic import ValidationError

from directlane.core.errors import CredentialError, DiscoveryRefused, DiscoveryThrottled, Phase, TransportError
from directlane.core.message import Reply, header
from directlane.providers.huawei_modelarts.provider import HuaweiModelArtsProvider

BOB = {**PASSWORD, "user": "bob", "password": "swordfish"}
NOT_YOURS = refusal(403, "ModelArts.0206")
WRONG = Reply(401)
EMPTY = Reply(200, content=b'{"endpoints":[]}')


def keys(*names: str) -> list[dict[str, Any]]:
    return [{**AKSK, "access_key": name} for name in names]


def several(*credentials: dict[str, Any]) -> HuaweiModelArtsProvider:
    return HuaweiModelArtsProvider.model_validate({**DIRECT, "credential": list(credentials)})


def asked_by(told: Talk) -> list[str]:
    fields = [header(query.headers, "Authorization") or "" for query in told.queries]
    return [field.partition("Access=")[2].partition(",")[0] for field in fields if field]


def warnings(told: Talk) -> tuple[str, ...]:
    assert told.snapshot is not None
    return told.snapshot.warnings


# --- turns ------------------------------------------------------------------------------------------------------------


def test_users_take_turns() -> None:
    discovery = several(*keys("A", "B", "C")).discovery()
    turns = [asked_by(talk(discovery, [LIST], at=NOON + step))[0] for step in range(7)]
    assert turns == ["A", "B", "C", "A", "B", "C", "A"]


@given(st.integers(1, 6), st.integers(1, 40))
def test_each_user_carries_its_share(users: int, questions: int) -> None:
    discovery = several(*keys(*(f"K{number}" for number in range(users)))).discovery()
    counted = Counter(asked_by(talk(discovery, [LIST], at=NOON + step))[0] for step in range(questions))
    assert max(counted.values()) - min(counted[f"K{number}"] for number in range(users)) <= 1


def test_each_user_has_a_budget_and_all_share_the_accounts() -> None:
    provider = several(PASSWORD, BOB)
    names = [budget.name for budget in provider.budgets()]
    assert names == [
        "modelarts/cn-north-4/user/acme/alice",
        "modelarts/cn-north-4/user/acme/bob",
        "modelarts/cn-north-4/tenant/acme",
    ]
    discovery = provider.discovery()
    spent = [[budget.name for budget in talk(discovery, [login(), LIST]).queries[-1].budgets] for _ in range(2)]
    assert spent == [[names[0], names[2]], [names[1], names[2]]]


def test_one_user_in_a_list_is_as_one_without() -> None:
    assert several(PASSWORD).discovery().identity == route(credential=PASSWORD).discovery().identity
    error = talk(several(PASSWORD).discovery(), [WRONG]).error
    assert isinstance(error, CredentialError)
    assert error.permanent


# --- left out ---------------------------------------------------------------------------------------------------------


def test_a_user_that_is_refused_is_named_and_the_next_one_asks_in_the_same_question() -> None:
    discovery = several(PASSWORD, BOB).discovery()
    told = talk(discovery, [WRONG, login(), LIST])
    (sentence,) = warnings(told)
    assert sentence.startswith("user 'alice' of account 'acme' is left out: IAM refused the login")
    assert "hunter2" not in sentence
    # For good: a wrong password is not sent again.
    for step in range(1, 4):
        later = talk(discovery, [LIST], at=NOON + step)
        assert later.tokens == ["MIIfirst"]
        assert warnings(later) == (sentence,)


def test_a_refused_key_is_left_out_for_five_minutes() -> None:
    discovery = several(*keys("A", "B")).discovery()
    assert asked_by(talk(discovery, [NOT_YOURS, LIST])) == ["A", "B"]
    assert asked_by(talk(discovery, [LIST], at=NOON + 200)) == ["B"]
    assert asked_by(talk(discovery, [LIST], at=NOON + 299)) == ["B"]
    back = talk(discovery, [LIST], at=NOON + 301)
    assert asked_by(back) == ["A"]
    assert warnings(back) == ()


@pytest.mark.parametrize(
    ("answer", "seconds"),
    [
        (refusal(429, "APIG.0308", "policy user over ratelimit,limit:20,time:1 minute"), 60),
        (Reply(429, (("Retry-After", "7"),)), 7),
        (Reply(429), 60),
        (refusal(403, "ModelArts.0112"), 300),
    ],
)
def test_a_user_that_is_throttled_or_lacks_permission_rests(answer: Reply, seconds: float) -> None:
    discovery = several(*keys("A", "B")).discovery()
    assert asked_by(talk(discovery, [answer, LIST])) == ["A", "B"]
    assert asked_by(talk(discovery, [LIST], at=NOON + seconds - 1)) == ["B"]
    assert asked_by(talk(discovery, [LIST], at=NOON + seconds + 1)) == ["A"]


@pytest.mark.parametrize(
    "answer", [Reply(500), refusal(404, "ModelArts.3502"), TransportError("no answer", phase=Phase.WAIT)]
)
def test_what_is_not_the_users_fault_leaves_nobody_out(answer: Reply | TransportError) -> None:
    discovery = several(*keys("A", "B")).discovery()
    assert talk(discovery, [answer]).error is not None
    told = talk(discovery, [LIST])
    assert asked_by(told) == ["B"]
    assert warnings(told) == ()


def test_who_is_left_out_is_named_beside_an_empty_list_too() -> None:
    told = talk(several(*keys("A", "B")).discovery(), [NOT_YOURS, EMPTY])
    (warning,) = warnings(told)
    assert warning.startswith("access key A is left out")


def test_one_question_tries_three_users_at_most() -> None:
    discovery = several(*keys("A", "B", "C", "D")).discovery()
    first = talk(discovery, [NOT_YOURS] * 3)
    assert isinstance(first.error, CredentialError)
    assert not first.error.permanent
    assert asked_by(talk(discovery, [LIST])) == ["D"]


# --- nobody left ------------------------------------------------------------------------------------------------------


def test_if_all_are_refused_for_good_the_error_is_for_good_and_names_all() -> None:
    discovery = several(PASSWORD, BOB).discovery()
    told = talk(discovery, [WRONG, WRONG])
    assert isinstance(told.error, CredentialError)
    assert told.error.permanent
    assert "'alice'" in str(told.error)
    assert "'bob'" in str(told.error)
    again = talk(discovery, [], at=NOON + 9e6)
    assert isinstance(again.error, CredentialError)
    assert again.error.permanent
    assert not any(secret in str(told.error) for secret in ("hunter2", "swordfish"))


def test_one_refused_password_is_not_for_good_while_others_may_come_back() -> None:
    discovery = several(PASSWORD, *keys("A")).discovery()
    told = talk(discovery, [WRONG, NOT_YOURS])
    assert isinstance(told.error, CredentialError)
    assert not told.error.permanent
    # The key is asked with again at once: nobody else is left.
    assert asked_by(talk(discovery, [LIST], at=NOON + 1)) == ["A"]


def test_if_all_are_throttled_the_question_waits() -> None:
    told = talk(several(*keys("A", "B")).discovery(), [Reply(429), Reply(429)])
    assert isinstance(told.error, DiscoveryThrottled)


def test_if_nobody_has_permission_the_refusal_is_told() -> None:
    told = talk(several(*keys("A", "B")).discovery(), [refusal(403, "ModelArts.0112")] * 2)
    assert isinstance(told.error, DiscoveryRefused)
    assert "permissions" in str(told.error)


def test_what_can_be_refused_for_good_is_the_list_as_a_whole() -> None:
    assert several(PASSWORD, BOB).discovery().credential == several(PASSWORD, BOB).discovery().credential
    assert several(PASSWORD, BOB).discovery().credential != several(PASSWORD).discovery().credential
    assert several(PASSWORD, *keys("A")).discovery().credential is None
    assert "swordfish" not in repr(several(PASSWORD, BOB).discovery().credential)


# --- mistakes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("credentials", "named"),
    [
        ([PASSWORD, BOB, {**PASSWORD, "password": "hunter3"}], "user 'alice' of account 'acme' is there already"),
        ([*keys("A"), {**AKSK, "access_key": "A", "secret_key": "hunter3"}], "access key A is there already"),
        ([TOKEN, TOKEN], "there already as credential[0]"),
        ([{"type": "environment"}, {"type": "environment"}], "there already"),
        ([], "at least 1 item"),
        (keys(*(f"K{number}" for number in range(17))), "at most 16 items"),
        ([{**PASSWORD, "password": 5}], "password"),
    ],
)
def test_mistakes_are_named_and_values_are_not_shown(credentials: list[dict[str, Any]], named: str) -> None:
    with pytest.raises(ValidationError) as caught:
        several(*credentials)
    assert named in str(caught.value)
    assert not any(secret in str(caught.value) for secret in ("hunter2", "hunter3", "MIIready", "SKhidden"))


def test_the_gateway_takes_one_credential() -> None:
    with pytest.raises(ValidationError, match="the gateway takes one credential"):
        HuaweiModelArtsProvider.model_validate({**GATEWAY, "credential": [PASSWORD, BOB]})
