"""When a leader without an answer lets another process try."""

from __future__ import annotations

from directlane.core.discovery.handover import HandOver


def test_one_failure_among_answers_is_no_reason() -> None:
    turn = HandOver()
    turn.leads()
    assert not turn.failed()
    turn.answered()
    assert not turn.failed()


def test_second_failure_in_a_row_is() -> None:
    turn = HandOver()
    turn.leads()
    turn.failed()
    assert turn.failed()
    assert turn.late > 0, "others come first the next time"


def test_who_follows_one_that_gave_up_asks_early_and_gives_up_at_once() -> None:
    turn = HandOver()
    turn.heard(gives_up=True)
    assert turn.leads()
    assert turn.failed()


def test_who_failed_before_does_not_ask_early() -> None:
    turn = HandOver()
    turn.heard(gives_up=True)
    turn.leads()
    turn.failed()
    turn.heard(gives_up=True)
    assert not turn.leads()


def test_answer_makes_up_for_failures() -> None:
    turn = HandOver()
    turn.heard(gives_up=True)
    turn.leads()
    turn.failed()
    turn.answered()
    assert turn.late == 0.0
    assert not turn.failed()


def test_leader_after_one_that_had_answers_is_patient() -> None:
    turn = HandOver()
    turn.heard(gives_up=True)
    turn.heard(gives_up=False)
    assert not turn.leads()
    assert not turn.failed()


def test_who_failed_least_comes_first() -> None:
    once, often = HandOver(), HandOver()
    for turn, times in ((once, 1), (often, 3)):
        for _ in range(times):
            turn.heard(gives_up=True)
            turn.leads()
            turn.failed()
    assert 0 < once.late < often.late
