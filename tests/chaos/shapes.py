"""The flows that chaos submits, what each must answer, and which effects it has. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

RETRY = {"attempts": 100, "delay": "200ms", "max_delay": "2s"}
"""Executors are killed on purpose, and each such death spends a try."""
SUCCEEDED, FAILED, CANCELLED, TIMED_OUT = "succeeded", "failed", "cancelled", "timed_out"
SPACING = 1000
"""Between the first numbers of two runs: no number of one can be another's."""


@dataclass(frozen=True, slots=True)
class Job:
    """One flow as it is submitted, and what is right for its run.

    `rows` are the numbers that its output holds once it has succeeded, `effects` the numbers that its sinks have written
    down then, by label. `mended` are the params with which a run that has failed succeeds as a rerun, `redriven` the numbers
    that a run answers which gets the rejected rows.
    """

    label: str
    shape: str
    flow: dict[str, Any]
    params: dict[str, Any]
    rows: tuple[int, ...]
    effects: dict[str, tuple[int, ...]] = field(default_factory=dict)
    ends: str = SUCCEEDED
    mended: dict[str, Any] = field(default_factory=dict)
    redriven: tuple[int, ...] = ()


Shape = Callable[[str, int, str, float], Job]
"""Label, first number, database of the sinks, seconds that a slow step takes."""


def _node(module: str, parents: str | list[str] | None = None, **fields: Any) -> dict[str, Any]:
    document: dict[str, Any] = {"module": module, "retry": RETRY, **fields}
    if parents is not None:
        document["in"] = parents
    return document


def _start() -> dict[str, Any]:
    return _node("chaos.start", params={"first": "${params.first}"})


def _note(parents: str, label: str = "${params.label}", **fields: Any) -> dict[str, Any]:
    return _node("chaos.note", parents, params={"database": "${params.database}", "label": label}, **fields)


def _flow(name: str, nodes: dict[str, Any], shown: str, **params: str) -> dict[str, Any]:
    types = {"first": "integer", **params}
    declared = {param: {"type": kind} for param, kind in types.items()}
    return {"flow": f"chaos/{name}", "params": declared, "nodes": nodes, "outputs": {"result": shown}}


def chain(label: str, first: int, database: str, s: float) -> Job:
    """One step after another; one of them is a built-in."""
    nodes = {
        "one": _start(),
        "two": _node("chaos.add", "one", params={"n": 10}),
        "three": _node("table.derive", "two", params={"columns": {"n": "n + 20"}}),
        "four": _node("chaos.add", "three", params={"n": 30}),
    }
    return Job(label, "chain", _flow("chain", nodes, "four"), {"first": first}, _from(first + 60))


def diamond(label: str, first: int, database: str, s: float) -> Job:
    """Two steps beside each other, of which one takes longer."""
    nodes = {
        "top": _start(),
        "left": _node("chaos.add", "top", params={"n": 10, "s": "${params.s}"}),
        "right": _node("table.derive", "top", params={"columns": {"n": "n + 20"}}),
        "bottom": _node("chaos.join", ["left", "right"]),
    }
    rows = _from(first + 10) + _from(first + 20)
    return Job(label, "diamond", _flow("diamond", nodes, "bottom", s="number"), {"first": first, "s": s / 4}, rows)


def mapped(label: str, first: int, database: str, s: float) -> Job:
    """A step for each of eight elements, several in one process."""
    nodes = {
        "top": _start(),
        "each": _node("chaos.beside", "top", map="${params.items}", params={"n": "${item}", "s": 0.3}),
        "all": _node("chaos.join", "each"),
    }
    items = [number * 10 for number in range(8)]
    rows = tuple(number for item in items for number in _from(first + item))
    return Job(label, "map", _flow("map", nodes, "all", items="array"), {"first": first, "items": items}, rows)


def fan_out(label: str, first: int, database: str, s: float) -> Job:
    """Six steps that nothing precedes, and one that reads them all."""
    names = [f"w{number}" for number in range(6)]
    nodes = {name: _start() for name in names} | {"all": _node("chaos.join", names)}
    return Job(label, "fan-out", _flow("fan-out", nodes, "all"), {"first": first}, _from(first) * len(names))


def sink(label: str, first: int, database: str, s: float) -> Job:
    """A step with effects, and a mapped one."""
    nodes = {
        "one": _start(),
        "two": _node("chaos.add", "one", params={"n": 10}),
        "once": _note("two"),
        "each": _note("one", "${params.label}.${item}", map=["a", "b", "c"]),
    }
    flow = _flow("sink", nodes, "two", label="string", database="string")
    effects = {label: _from(first + 10), **{f"{label}.{item}": _from(first) for item in "abc"}}
    params = {"first": first, "label": label, "database": database}
    return Job(label, "sink", flow, params, _from(first + 10), effects)


def retrying(label: str, first: int, database: str, s: float) -> Job:
    """A step that fails twice before it works, and one that ends its executor."""
    nodes = {
        "one": _start(),
        "flaky": _node("chaos.flaky", "one", params={"fails": 2}),
        "crash": _node("chaos.crash", "flaky"),
    }
    return Job(label, "retrying", _flow("retrying", nodes, "crash"), {"first": first}, _from(first))


def slow(label: str, first: int, database: str, s: float) -> Job:
    """A step that takes seconds, and effects after it."""
    nodes = {"one": _start(), "two": _node("chaos.patient", "one", params={"s": "${params.s}"}), "last": _note("two")}
    flow = _flow("slow", nodes, "two", label="string", database="string", s="number")
    params = {"first": first, "label": label, "database": database, "s": s}
    return Job(label, "slow", flow, params, _from(first), {label: _from(first)})


def broken(label: str, first: int, database: str, s: float) -> Job:
    """A step that refuses, before the effects; a rerun with other params succeeds and has them."""
    nodes = {
        "one": _start(),
        "two": _node("chaos.refuse", "one", params={"stubborn": "${params.stubborn}"}),
        "last": _note("two"),
    }
    flow = _flow("broken", nodes, "two", label="string", database="string", stubborn="boolean")
    params = {"first": first, "label": label, "database": database, "stubborn": True}
    mended = {"stubborn": False}
    return Job(label, "broken", flow, params, _from(first), {label: _from(first)}, FAILED, mended)


def sifting(label: str, first: int, database: str, s: float) -> Job:
    """Rows that are rejected, and used all the same."""
    nodes = {
        "one": _start(),
        "sift": _node("chaos.sift", "one", rejects={"rows": 1}),
        "bad": _node("table.select", "sift.rejected", params={"columns": ["n"]}),
        "all": _node("chaos.join", ["sift", "bad"]),
    }
    rows = (first, first + 2, first + 1)
    return Job(label, "sifting", _flow("sifting", nodes, "all"), {"first": first}, rows, redriven=(first + 1,))


def limited(label: str, first: int, database: str, s: float) -> Job:
    """At most two runs in each of three lanes are under way; the others wait in line."""
    nodes = {"one": _start(), "two": _node("chaos.add", "one", params={"n": 10, "s": 0.2})}
    flow = _flow("limited", nodes, "two", lane="integer")
    flow["concurrency"] = {"limit": 2, "key": "${params.lane}", "when_full": "queue"}
    return Job(label, "limited", flow, {"first": first, "lane": first // SPACING % 3}, _from(first + 10))


def late(label: str, first: int, database: str, s: float) -> Job:
    """It takes longer than it may, and never comes to its effects."""
    nodes = {"one": _start(), "two": _node("chaos.patient", "one", params={"s": 600}), "last": _note("two")}
    flow = _flow("late", nodes, "two", label="string", database="string") | {"timeout": "2s"}
    params = {"first": first, "label": label, "database": database}
    return Job(label, "late", flow, params, (), {label: ()}, TIMED_OUT)


SHAPES: dict[Shape, int] = {
    chain: 3, diamond: 3, mapped: 3, fan_out: 2, sink: 5, retrying: 2, slow: 3, broken: 1, limited: 2, late: 1, sifting: 2,
}  # fmt: skip
"""How often each is submitted, in relation to the others."""


def _from(first: int, rows: int = 3) -> tuple[int, ...]:
    return tuple(range(first, first + rows))
