"""What happens on the day of each mutant: the fault that its broken rule is there for, done to real processes and servers.

Each story returns what it saw that must never be; what the invariants say comes on top. With whole code all of it is nothing.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing

from plugmesh.contracts.data import ValueRef
from plugmesh.contracts.messages import Done
from tests.chaos.day import Day, until_then

LEASE_ENDED = "its lease ended"


def vanished(day: Day) -> list[str]:
    """An instance is stopped in the middle of a step: its lease ends."""
    run = day.submit("day.work", seconds=60.0)
    worker = day.worker(day.until_step(run, "running")["instance"])
    worker.pause()
    gone = "SELECT a.reason FROM attempt a JOIN run r ON r.key = a.run WHERE r.id = %s AND a.state = 'lost'"

    def by_lease() -> bool:
        return any(str(reason).startswith(LEASE_ENDED) for (reason,) in day.rows(gone, run))

    ended = until_then(60.0, by_lease)
    worker.resume()
    day.mesh.post(f"/api/v1/runs/{run}/cancel", {})
    return [] if ended else ["the lease of an instance that was stopped did not end"]


def late_results(day: Day) -> list[str]:
    """A result of the first attempt comes while the second one is at work: from the same instance, then from another one."""
    run = day.submit("day.again", {"attempts": 3, "delay": "100ms"}, seconds=40.0)
    instance = day.until_step(run, "running", epoch=2)["instance"]
    found = []
    for sender in (instance, "inst-0000000000000000"):
        day.deliver_late(_forged(run, 1, sender))
        step = day.step(run)
        if step["state"] == "succeeded":
            found.append(f"a late result of attempt 1 became the result of attempt {step['epoch']}")
            break
    day.mesh.post(f"/api/v1/runs/{run}/cancel", {})
    return found


def cancelled(day: Day) -> list[str]:
    """A result that was on its way comes when the run is being cancelled."""
    run = day.submit("day.work", seconds=40.0)
    step = day.until_step(run, "running")
    worker = day.worker(step["instance"])
    worker.pause()
    day.mesh.post(f"/api/v1/runs/{run}/cancel", {})
    day.until(lambda: (day.mesh.show(run) or {}).get("state") == "cancelling", f"{run} is not cancelling")
    day.deliver_late(_forged(run, step["epoch"], step["instance"]))
    state = day.step(run)["state"]
    worker.resume()
    return ["a result was accepted after the cancel"] if state == "succeeded" else []


def sink(day: Day) -> list[str]:
    """The process of a sink dies when its effect is there, and before it said so."""
    run = day.submit("day.note", {"attempts": 5, "delay": "100ms"}, database=str(day.effects), label="sink", hang=True)
    day.until(lambda: _effects(day, "sink"), "the sink had no effect")
    day.kill_executors(day.worker(day.step(run)["instance"]))
    day.mesh.finish(run)
    count = _effects(day, "sink")
    return [f"the effect was applied {count} times"] if count != 1 else []


def backoff(day: Day) -> list[str]:
    """A step fails, and may be tried again after two seconds; the invariants tell. A first attempt may be lost instead."""
    query = "SELECT 1 FROM attempt a JOIN run r ON r.key = a.run WHERE r.id = %s AND a.state = 'failed'"
    failed = False
    while not failed:
        run = day.submit("day.again", {"attempts": 3, "backoff": "fixed", "delay": "2s", "jitter": False})
        day.mesh.finish(run)
        failed = bool(day.rows(query, run))
    return []


def stopped_owner(day: Day) -> list[str]:
    """A scheduler is stopped while it is about to write, and goes on when its shards have another owner, who is stopped then,
    before it has written anything itself: whatever is written now is written by somebody who does not own it."""
    first, second = day.mesh.of("scheduler")
    retry = {"attempts": 9, "backoff": "fixed", "delay": "4s", "jitter": False}
    runs = [day.submit("day.again", retry) for _ in range(16)]
    day.until(
        lambda: day.rows("SELECT count(*) FROM attempt WHERE state = 'failed'")[0][0] >= 8, "hardly any has failed"
    )
    day.slow_disk(3.0)
    until_then(5.0, lambda: False)  # the steps are due by now, and both schedulers wait for their disks
    first.pause()
    day.slow_disk(0.5)
    owners = "SELECT count(DISTINCT owner) FROM shard"  # asked for there: the owner itself would tell later
    day.until(lambda: day.rows(owners)[0][0] == 1, "nobody took the shards over")
    second.pause()
    ((owner,),) = day.rows("SELECT DISTINCT owner FROM shard")
    query = "SELECT (SELECT count(*) FROM event), (SELECT count(*) FROM shard WHERE owner = %s)"
    ((before, _),) = day.rows(query, owner)
    first.resume()
    found: list[str] = []

    def written() -> bool:
        ((events, owned),) = day.rows(query, owner)
        return bool(events > before and owned == 32)

    if until_then(6.0, written):
        found = ["a scheduler wrote for shards that another one owned"]
    day.slow_disk(0)
    second.resume()
    return found + _all_succeed(day, runs)


def effects_first(day: Day) -> list[str]:
    """Writes are slow: what leaves the scheduler must wait for them."""
    day.mesh.finish(day.submit("day.note", database=str(day.effects), label="warm"))
    found = []
    for number in range(4):
        day.slow_disk(2.0)
        label = f"slow-{number}"
        run = day.submit("day.note", database=str(day.effects), label=label)
        day.until(lambda label=label: _effects(day, label), "the step did not begin")  # type: ignore[misc]
        written = day.rows("SELECT count(*) FROM event e JOIN run r ON r.key = e.run WHERE r.id = %s", run)[0][0]
        day.slow_disk(0)
        if not written:
            found.append("a step began that nobody had written down as assigned")
        day.mesh.finish(run)
    return found


def heard_first(day: Day) -> list[str]:
    """Writes are slow: that a result was heard must not be written before what it caused."""
    found = []
    for _ in range(3):
        run = day.submit("day.work")
        day.slow_disk(0.5)
        query = (
            "SELECT s.position, t.state FROM run r JOIN shard s ON s.id = r.shard "
            "LEFT JOIN step t ON t.run = r.key WHERE r.id = %s"
        )
        seen: set[tuple[int, str]] = set()
        while not any(state == "succeeded" for _, state in seen):
            ((position, state),) = day.rows(query, run)
            seen.add((int(position or 0), str(state)))
        day.slow_disk(0)
        done = [offset for offset, message in day.results_of(run) if isinstance(message, Done)]
        if any(position > min(done) and state != "succeeded" for position, state in seen):
            found.append("a result was marked as heard before what it caused was written")
    return found


def failed_commits(day: Day) -> list[str]:
    """The database dies in the middle of commits."""
    runs = []
    for _ in range(3):
        day.slow_disk(0.3)
        runs += [day.submit("day.again", {"attempts": 9, "delay": "100ms"}) for _ in range(8)]
        day.servers["postgres"].kill()
        day.slow_disk(0)
        day.servers["postgres"].start()
    return _all_succeed(day, runs)


def hub_gone(day: Day) -> list[str]:
    """A step ends while the gateway, which is the bus, is away."""
    run = day.submit("day.work", seconds=6.0)
    day.until_step(run, "running")
    gateway = day.mesh.of("gateway")[0]
    gateway.kill()
    until_then(8.0, lambda: False)  # the step ends meanwhile
    gateway.start()
    day.mesh.wait_until_answers()
    day.mesh.finish(run)
    epoch = day.step(run)["epoch"]
    return [f"the step was done {epoch} times"] if epoch != 1 else []


def _all_succeed(day: Day, runs: list[str]) -> list[str]:
    states = {}
    for run in runs:
        until_then(60.0, lambda run=run: day.mesh.ended(run))  # type: ignore[misc]
        states[run] = (day.mesh.show(run) or {"state": "unknown"})["state"]
    return [f"{run} is {state}" for run, state in states.items() if state != "succeeded"]


def _effects(day: Day, label: str) -> int:
    with closing(sqlite3.connect(day.effects)) as connection:
        return int(connection.execute("SELECT count(*) FROM effect WHERE label = ?", (label,)).fetchone()[0])


def _forged(run: str, epoch: int, instance: str) -> Done:
    return Done(run=run, step="only", epoch=epoch, instance=instance, outputs={"out": ValueRef(value=-1)})
