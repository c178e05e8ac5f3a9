"""Regressions: what a commit with an unknown outcome must not take with it."""

from __future__ import annotations

import pytest

from plugmesh.contracts.messages import RESULTS, Renew
from plugmesh.contracts.run import SHARDS
from tests.sim.chaos import Plan, Trap
from tests.sim.workload import SUCCEEDED, Job, fan_out
from tests.sim.world import World

SUBMIT_AT = 3.0
COUNT = 1500
"""Messages, so dense that some of them share a cycle with a commit while there is much to do."""


@pytest.mark.parametrize("nth", [11, *(pytest.param(n, marks=pytest.mark.full) for n in range(10, 18) if n != 11)])
def test_messages_of_other_shards_are_heard_again_and_acknowledged(nth: int) -> None:
    """They caused nothing in the commit that failed, so their shards had not been dropped, and their senders waited
    for ever: an instance whose `renew` got lost like that never renewed a lease of that shard again."""
    trap = Trap("server", "state.commit.before_commit", nth, fails=True)
    plan = Plan(traps=[trap], armed_at=SUBMIT_AT, until=60.0)
    jobs = [Job(f"fan-out-{number}", fan_out(12), frozenset({SUCCEEDED}), SUBMIT_AT) for number in range(4)]
    world = World(5, jobs, plan, with_hub=True)
    sent: list[int] = []
    safe: list[int] = []

    async def send(number: int) -> None:
        instance = world.instances[0]
        assert instance is not None
        shard = number % SHARDS
        sent.append(number)
        renew = Renew(instance=instance.id, shard=shard, attempts=(f"run-gone/step/{number}",))
        await instance.supervisor._bus.publish(RESULTS, shard, renew.encode())
        safe.append(number)

    def spray() -> None:
        instance = world.instances[0]
        assert instance is not None
        for number in range(COUNT):
            instance.process.call_later(number * 0.0005, lambda n=number: instance.process.spawn(send(n), "renew"))

    world.outside(SUBMIT_AT, spray)
    assert world.run() == [], world.report()
    assert world.faults == 1
    assert len(sent) == COUNT
    assert sorted(safe) == sent
