"""What is submitted in a simulation: flows of all shapes, and what may become of their runs."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

RETRY = {"attempts": 40, "delay": 0.2, "max_delay": 2.0}
SUCCEEDED, FAILED, CANCELLED, TIMED_OUT = "succeeded", "failed", "cancelled", "timed_out"


@dataclass(frozen=True, slots=True)
class Job:
    """One submission. `may_end` are the states that are right for its run; times are virtual seconds."""

    name: str
    flow: dict[str, Any]
    may_end: frozenset[str]
    submit_at: float = 0.0
    cancel_after: float | None = None
    timeout_s: float | None = None
    twice: bool = False


def node(module: str, label: str, *parents: str, s: float = 0.0, **fields: Any) -> dict[str, Any]:
    """A node; params of the simulated modules are `s`, `fails`, `fatal`, `stuck`."""
    params = {key: fields.pop(key) for key in ("fails", "fatal", "stuck") if key in fields}
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


def jobs_of(dice: random.Random, *, long: float) -> list[Job]:
    """A workload: every shape once, at random times. `long` is about how many seconds a long step takes."""
    good = frozenset({SUCCEEDED})
    found = [
        Job("chain", chain(dice.randint(2, 5), long), good),
        Job("diamond", diamond(long), good, twice=True),
        Job("fan-out", fan_out(dice.randint(3, 12), long / 2), good),
        Job("mapped", mapped(dice.randint(0, 12), long / 2), good),
        Job("wide", mapped(dice.choice((20, 300)), 0.0), good),
        Job("flaky", single("sim.work", "flaky", 0.05, fails=dice.randint(1, 4)), good),
        Job("broken", single("sim.work", "broken", 0.05, fatal=True), frozenset({FAILED})),
        Job("sinks", sinks(long), good),
        Job("stuck", single("sim.work", "stuck", 0.1, stuck=dice.randint(1, 2), timeout=dice.uniform(1.0, 8.0)), good),
        Job("late", single("sim.late", "late", 0.1), good),
        Job("never", single("sim.never", "never", park=20.0), frozenset({FAILED})),
        Job("slow", single("sim.work", "slow", 200.0), frozenset({TIMED_OUT}), timeout_s=dice.uniform(1.0, 6.0)),
        Job(
            "cancelled",
            chain(5, max(long, 1.0)),
            frozenset({SUCCEEDED, CANCELLED}),
            cancel_after=dice.uniform(0.0, 6.0),
        ),
        Job("cancelled-map", mapped(8, 1.0), frozenset({SUCCEEDED, CANCELLED}), cancel_after=dice.uniform(0.0, 4.0)),
    ]
    return [
        Job(
            f"{index}-{job.name}",
            job.flow,
            job.may_end,
            dice.uniform(0.0, 12.0),
            job.cancel_after,
            job.timeout_s,
            job.twice,
        )
        for index, job in enumerate(found)
    ]
