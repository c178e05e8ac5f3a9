"""How an outage at the start is waited for, and how often it is told."""

from __future__ import annotations

import random

import pytest

from plugmesh.errors import ConfigurationError, Conflict, NotReachable, StateUnavailable, Unauthorized
from plugmesh.first_contact import SAY_AGAIN_S, SAY_OTHER_S, first_contact
from plugmesh.runtime import SystemRuntime


class QuickRuntime(SystemRuntime):
    """Time passes when somebody sleeps."""

    def __init__(self) -> None:
        super().__init__(seed=1)
        self.passed = 0.0

    def now(self) -> float:
        return self.passed

    def random(self) -> random.Random:
        return random.Random(1)

    async def sleep(self, seconds: float) -> None:
        self.passed += seconds


async def told(*errors: Exception) -> list[str]:
    """What is said when reaching fails so, one after the other, and then works."""
    said: list[str] = []
    left = list(errors)

    async def reach() -> str:
        if left:
            raise left.pop(0)
        return "reached"

    assert await first_contact(reach, QuickRuntime(), say=said.append) == "reached"
    return said


async def test_what_works_at_once_says_nothing() -> None:
    assert await told() == []


async def test_an_outage_is_told_at_once_and_then_now_and_then() -> None:
    said = await told(*[NotReachable("the setting `bus`: no broker")] * 100)
    assert "the setting `bus`: no broker" in said[0]
    assert 100 * 0.5 / SAY_AGAIN_S <= len(said) - 1 <= 100 * 1.5 / SAY_AGAIN_S + 1
    assert "answers now, after" in said[-1]


async def test_another_outage_is_told_sooner() -> None:
    said = await told(*[NotReachable("bus")] * 8, *[StateUnavailable("state")] * 8)
    assert [word in line for line, word in zip(said, ("bus", "state", "answers"), strict=True)] == [True] * 3
    assert SAY_OTHER_S < SAY_AGAIN_S


@pytest.mark.parametrize("error", [ConfigurationError("wrong"), Conflict("taken")])
async def test_what_no_waiting_helps_with_is_raised(error: Exception) -> None:
    with pytest.raises(type(error)):
        await told(NotReachable("away"), error)


async def test_a_refused_token_is_a_wrong_setting() -> None:
    with pytest.raises(ConfigurationError, match="its token"):
        await told(Unauthorized("its token"))


async def test_what_counts_as_an_outage_can_be_less() -> None:
    async def reach() -> None:
        raise StateUnavailable("the file is damaged")

    with pytest.raises(StateUnavailable):
        await first_contact(reach, QuickRuntime(), outages=(NotReachable,))
