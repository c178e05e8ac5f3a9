"""What is submitted in a simulation: flows of all shapes, and what may become of their runs."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import Any

RETRY = {"attempts": 40, "delay": 0.2, "max_delay": 2.0}
MOST_JOBS = 15
SUCCEEDED, FAILED, CANCELLED, TIMED_OUT = "succeeded", "failed", "cancelled", "timed_out"


@dataclass(frozen=True, slots=True)
class Job:
    """One submission, and what is done to its run. `may_end` are the states that are right for it; times are virtual
    seconds.

    `pause` says how long after the submit the run is paused, and for how long. `rerun` is what its end is followed by: a
    rerun from there, which must end in `again_may_end`.
    """

    name: str
    flow: dict[str, Any]
    may_end: frozenset[str]
    submit_at: float = 0.0
    cancel_after: float | None = None
    timeout_s: float | None = None
    twice: bool = False
    pause: tuple[float, float] | None = None
    priority: int | None = None
    deadline_s: float | None = None
    rerun: str | None = None
    again_may_end: frozenset[str] = frozenset({SUCCEEDED})


def node(module: str, label: str, *parents: str, s: float = 0.0, **fields: Any) -> dict[str, Any]:
    """A node; params of the simulated modules are `s`, `fails`, `breaks`, `fatal`, `stuck`."""
    params = {key: fields.pop(key) for key in ("fails", "breaks", "fatal", "stuck") if key in fields}
    document: dict[str, Any] = {
        "module": module,
        "params": {"label": label, "s": s, **params},
        "retry": RETRY,
        **fields,
    }
    if parents:
        document["in"] = list(parents)
    return document


def flow(name: str, nodes: dict[str, dict[str, Any]], shown: str, **fields: Any) -> dict[str, Any]:
    """A flow with one output."""
    return {"flow": f"sim/{name}", "nodes": nodes, "outputs": {"result": shown}, **fields}


def chain(length: int = 4, s: float = 0.0) -> dict[str, Any]:
    """One step after another, one of them passing on what it got."""
    nodes = {"n0": node("sim.work", "n0", s=s)}
    for index in range(1, length):
        module = "sim.pass" if index == 2 else "sim.work"
        nodes[f"n{index}"] = node(module, f"n{index}", f"n{index - 1}", s=s)
    return flow("chain", nodes, f"n{length - 1}")


def diamond(s: float = 0.0) -> dict[str, Any]:
    """One, two beside each other, one."""
    nodes = {
        "top": node("sim.work", "top", s=s),
        "left": node("sim.shared", "left", "top", s=s),
        "right": node("sim.work", "right", "top", s=s),
        "bottom": node("sim.work", "bottom", "left", "right", s=s),
    }
    return flow("diamond", nodes, "bottom")


def fan_out(width: int, s: float = 0.0) -> dict[str, Any]:
    """Many beside each other, read by one."""
    nodes = {f"w{index}": node("sim.work", f"w{index}", s=s) for index in range(width)}
    nodes["all"] = node("sim.work", "all", *nodes)
    return flow("fan-out", nodes, "all")


def mapped(items: int, s: float = 0.0) -> dict[str, Any]:
    """A node over a list, between two others."""
    nodes = {
        "first": node("sim.work", "first", s=s),
        "each": node("sim.work", "${item}", "first", s=s, map=[f"e{index}" for index in range(items)]),
        "last": node("sim.work", "last", "each"),
    }
    return flow("mapped", nodes, "last")


def large(s: float = 0.0, **fields: Any) -> dict[str, Any]:
    """A large table through two rowwise nodes, which are done in pieces, and one that reads it whole."""
    nodes = {
        "made": node("sim.table", "made", s=s),
        "one": node("sim.rowwise", "one", "made", s=s, **fields),
        "two": node("sim.rowwise", "two", "one", s=s),
        "all": node("sim.tally", "all", "two"),
    }
    return flow("large", nodes, "all")


def sinks(s: float = 0.0) -> dict[str, Any]:
    """A step that two sinks read: one that applies its effects each time, one that is idempotent."""
    nodes = {
        "made": node("sim.work", "made", s=s),
        "told": node("sim.sink", "told", "made", s=s),
        "kept": node("sim.upsert", "kept", "made", s=s),
        "after": node("sim.work", "after", "kept", "told"),
    }
    return flow("sinks", nodes, "after")


def single(module: str, name: str, s: float = 0.0, **fields: Any) -> dict[str, Any]:
    """One step, shown."""
    top = {key: fields.pop(key) for key in ("park",) if key in fields}
    return flow(name, {"only": node(module, "only", s=s, **fields)}, "only", **top)


def broken_chain(s: float = 0.0) -> dict[str, Any]:
    """A chain with a sink that breaks at its fourth step, in the first run of a line."""
    nodes = {
        "n0": node("sim.work", "n0", s=s),
        "each": node("sim.work", "${item}", "n0", s=s, map=["a", "b", "c"]),
        "kept": node("sim.upsert", "kept", "each"),
        "n3": node("sim.work", "n3", "kept", breaks=True),
        "n4": node("sim.work", "n4", "n3"),
    }
    return flow("broken-chain", nodes, "n4")


def limited(when_full: str, s: float) -> dict[str, Any]:
    """A flow of which one run may be under way."""
    nodes = {"n0": node("sim.work", "n0", s=s), "n1": node("sim.work", "n1", "n0", s=s)}
    return flow(when_full, nodes, "n1", concurrency={"limit": 1, "when_full": when_full})


def steps_of(document: dict[str, Any]) -> int:
    """How many steps of a flow are executed when all goes well."""
    return sum(len(each["map"]) if "map" in each else 1 for each in document["nodes"].values())


def jobs_of(dice: random.Random, *, long: float) -> list[Job]:
    """A workload: most shapes, at random times. `long` is about how many seconds a long step takes."""
    every = [*_plain(dice, long), *_controlled(dice, long)]
    chosen = sorted(dice.sample(range(len(every)), MOST_JOBS))
    return [
        replace(every[index], name=f"{index}-{every[index].name}", submit_at=dice.uniform(0.0, 12.0))
        for index in chosen
    ]


def _plain(dice: random.Random, long: float) -> list[Job]:
    good, timeout = frozenset({SUCCEEDED}), dice.uniform(1.0, 8.0)
    ended_badly = frozenset({FAILED, SUCCEEDED})  # what failed may have been lost with its instance
    exact = {**RETRY, "backoff": dice.choice(("fixed", "exponential")), "delay": 0.5, "jitter": False}
    return [
        Job("chain", chain(dice.randint(2, 5), long), good, priority=dice.randint(-100, 100)),
        Job("diamond", diamond(long), good, twice=True),
        Job("fan-out", fan_out(dice.randint(3, 12), long / 2), good, priority=dice.randint(-100, 100)),
        Job("mapped", mapped(dice.randint(0, 12), long / 2), good),
        Job("wide", mapped(dice.choice((20, 300)), 0.0), good),
        Job("large", large(long / 2), good),
        Job("flaky", single("sim.work", "flaky", 0.05, fails=dice.randint(1, 4)), good),
        Job("exact", single("sim.work", "exact", 0.05, fails=dice.randint(1, 5), retry=exact), good),
        Job("in-all", single("sim.work", "in-all", 0.05, fails=90, retry={**exact, "total": 6.0}), frozenset({FAILED})),
        Job("once", single("sim.work", "once", 0.05, fails=1, retry={**exact, "on": ["data"]}), ended_badly),
        Job("broken", single("sim.work", "broken", 0.05, fatal=True), frozenset({FAILED})),
        Job("sinks", sinks(long), good),
        Job("stuck", single("sim.work", "stuck", 0.1, stuck=dice.randint(1, 2), timeout=timeout), good),
        Job("late", single("sim.late", "late", 0.1), good),
        Job("never", single("sim.never", "never", park=20.0), frozenset({FAILED})),
    ]


def _controlled(dice: random.Random, long: float) -> list[Job]:
    good, ended = frozenset({SUCCEEDED}), frozenset({SUCCEEDED, CANCELLED})
    over = frozenset({TIMED_OUT})
    slow = single("sim.work", "slow", 200.0)
    queue, new, running = (limited(kind, max(long / 2, 0.5)) for kind in ("queue", "cancel-new", "cancel-running"))
    return [
        Job("slow", slow, over, timeout_s=dice.uniform(1.0, 6.0)),
        # Where it is over by the clocks of the instances and not yet by the server's, nobody takes its step.
        Job("too-late", slow, over, deadline_s=dice.uniform(15.0, 30.0)),
        Job("cancelled", chain(5, max(long, 1.0)), ended, cancel_after=dice.uniform(0.0, 6.0)),
        Job("cancelled-map", mapped(8, 1.0), ended, cancel_after=dice.uniform(0.0, 4.0)),
        Job("paused", chain(4, max(long / 2, 0.5)), good, pause=(dice.uniform(0.0, 5.0), dice.uniform(0.1, 20.0))),
        Job("paused-map", mapped(10, 0.5), good, pause=(dice.uniform(0.0, 3.0), dice.uniform(0.1, 20.0))),
        Job("paused-cancelled", mapped(8, 1.0), ended, pause=(1.0, 9.0), cancel_after=dice.uniform(1.0, 12.0)),
        Job("again", broken_chain(long / 4), frozenset({FAILED}), rerun="failed"),
        Job("again-all", sinks(long / 4), good, rerun="start"),
        Job("again-pieces", large(long / 4, breaks=True), frozenset({FAILED}), rerun="failed"),
        Job("cancelled-pieces", large(max(long / 2, 0.5)), ended, cancel_after=dice.uniform(0.0, 6.0)),
        Job("paused-pieces", large(0.5), good, pause=(dice.uniform(0.0, 3.0), dice.uniform(0.1, 20.0))),
        Job("queue", queue, good),
        Job("queue", queue, good, priority=50),
        Job("queue", queue, ended, cancel_after=dice.uniform(0.0, 10.0)),
        Job("cancel-new", new, ended),
        Job("cancel-new", new, ended),
        Job("cancel-running", running, ended),
        Job("cancel-running", running, ended, rerun="start", again_may_end=ended),
    ]
