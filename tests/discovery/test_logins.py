"""Logins of one process: one at a time with the same password, and none with one that was refused for good."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace

import pytest

from directlane.core.clock import SYSTEM_CLOCK
from directlane.core.discovery.logins import REFUSED_FOR, Logins, LoginTurn
from directlane.core.errors import CredentialError
from directlane.core.interfaces import Query
from directlane.core.message import Reply

ALICE = Query("http://iam/login", "POST", login="alice")
OTHER_PROJECT = replace(ALICE, content=b"another project")
YES, NO = Reply(201), Reply(401)


class Times:
    now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def unix(self) -> float:
        return self.now


@dataclass
class Iam:
    """Answers when it is let."""

    logins: Logins
    answer: Reply = field(default_factory=lambda: YES)
    asked: list[Query] = field(default_factory=list[Query])
    let: asyncio.Event = field(default_factory=asyncio.Event)

    async def converse(self, query: Query) -> Reply | BaseException:
        """One conversation that logs in, and says what the answer means."""
        turn = LoginTurn(self.logins)
        answer = await turn.enter(query)
        try:
            if answer is None:
                self.asked.append(query)
                await self.let.wait()
                answer = self.answer
                turn.answered(answer)
            turn.leave(CredentialError("no", permanent=True) if answer is NO else None)
        finally:
            turn.leave()
        return answer


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def test_who_waits_for_the_same_login_gets_its_answer() -> None:
    async def run() -> None:
        iam = Iam(Logins(SYSTEM_CLOCK))
        tasks = [asyncio.create_task(iam.converse(ALICE)) for _ in range(5)]
        await settle()
        iam.let.set()
        assert await asyncio.gather(*tasks) == [YES] * 5
        assert iam.asked == [ALICE]
        # It is not kept: who comes later logs in.
        assert await iam.converse(ALICE) is YES
        assert len(iam.asked) == 2

    asyncio.run(run())


def test_another_login_with_the_same_password_waits() -> None:
    async def run() -> None:
        iam = Iam(Logins(SYSTEM_CLOCK))
        tasks = [asyncio.create_task(iam.converse(query)) for query in (ALICE, OTHER_PROJECT)]
        await settle()
        assert iam.asked == [ALICE]
        iam.let.set()
        await asyncio.gather(*tasks)
        assert iam.asked == [ALICE, OTHER_PROJECT]

    asyncio.run(run())


def test_logins_of_others_do_not_wait() -> None:
    async def run() -> None:
        iam = Iam(Logins(SYSTEM_CLOCK))
        queries = [ALICE, replace(ALICE, login="bob"), replace(ALICE, login=None), replace(ALICE, login=None)]
        tasks = [asyncio.create_task(iam.converse(query)) for query in queries]
        await settle()
        assert iam.asked == queries
        iam.let.set()
        await asyncio.gather(*tasks)

    asyncio.run(run())


def test_a_refused_password_is_sent_once_whatever_for() -> None:
    async def run() -> None:
        times = Times()
        iam = Iam(Logins(times), NO)
        iam.let.set()
        answers = await asyncio.gather(*(iam.converse(query) for query in (ALICE, OTHER_PROJECT, ALICE)))
        later = await iam.converse(ALICE)
        assert iam.asked == [ALICE]
        for known in (*answers[1:], later):
            assert isinstance(known, CredentialError)
            assert known.permanent
        times.now += REFUSED_FOR
        iam.answer = YES
        assert await iam.converse(ALICE) is YES

    asyncio.run(run())


def test_a_login_that_is_given_up_lets_the_next_one_go() -> None:
    async def run() -> None:
        iam = Iam(Logins(SYSTEM_CLOCK))
        tasks = [asyncio.create_task(iam.converse(ALICE)) for _ in range(3)]
        await settle()
        tasks[0].cancel()
        tasks[1].cancel()
        await settle()
        assert iam.asked == [ALICE, ALICE]
        iam.let.set()
        assert await tasks[2] is YES
        for given_up in tasks[:2]:
            with pytest.raises(asyncio.CancelledError):
                await given_up

    asyncio.run(run())
