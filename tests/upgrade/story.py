"""Runs in every state that a run and its steps can be in, and what is to become of them: told to a mesh of one version, and
ended by one of another."""

from __future__ import annotations

import json
import signal
from dataclasses import dataclass
from typing import Any

from tests.upgrade.mesh import VersionedMesh
from tests.waiting import wait_until_sync

ORDERS = "order,qty\n1,5\n2,many\n3,7\n4,11\n"
NUMBERS = "order,qty\n1,5\n2,6\n3,7\n"
SETTING, VALUE = "rows_limit", 12_345


def flow(name: str, outputs: dict[str, str], /, *, inputs: tuple[str, ...] = (), **nodes: Any) -> dict[str, Any]:
    """A flow's document; `more` keys of it are in a node called `flow`."""
    more = nodes.pop("more", {})
    return {
        "flow": f"story/{name}", "inputs": dict.fromkeys(inputs, "file"), "nodes": nodes, "outputs": outputs, **more
    }  # fmt: skip


def count(upto: int) -> dict[str, Any]:
    """A node that counts when the gate is open."""
    return {"module": "held.count", "params": {"upto": upto}}


READ = {"module": "io.read", "params": {"file": "${inputs.orders}"}}
RUNNING = flow("running", {"out": "it"}, it=count(3))
WAITING = flow(
    "waiting", {"out": "it"}, it={"module": "held.fetch", "retry": {"attempts": 60, "backoff": "fixed", "delay": "1s"}}
)
PARKED = flow(
    "parked",
    {"out": "it"},
    first={"module": "held.some", "params": {"item": 2}},
    it={"module": "late.end", "in": "first"},
)
MAPPED = flow(
    "mapped", {"out": "all"},
    it={"module": "held.some", "map": [0, 1, 2, 3], "params": {"item": "${item}"}},
    all={"module": "table.limit", "in": "it", "params": {"rows": 10}},
)  # fmt: skip
DATA = flow(
    "data", {"out": "sorted"}, inputs=("orders",),
    read=READ, twice={"module": "held.double", "in": "read"},
    sorted={"module": "table.sort", "in": "twice", "params": {"by": ["order"]}},
)  # fmt: skip
PIECES = flow(
    "pieces", {"out": "sum"},
    many={"module": "held.many"}, flip={"module": "held.flip", "in": "many"}, sum={"module": "held.sum", "in": "flip"},
)  # fmt: skip
ONE = flow("one", {"out": "it"}, it=count(2), more={"concurrency": 1})
PAUSED = flow("paused", {"out": "then"}, it=count(2), then={"module": "table.limit", "in": "it", "params": {"rows": 1}})
REJECTED = flow(
    "rejected", {"out": "doubled"}, inputs=("orders",),
    read=READ,
    doubled={
        "module": "table.derive", "in": "read", "params": {"columns": {"twice": "CAST(qty AS INTEGER) * 2"}},
        "rejects": {"percent": 60},
    },
)  # fmt: skip
ENDED = flow(
    "ended", {"out": "twice"}, inputs=("orders",),
    read=READ, twice={"module": "held.double", "in": "read", "params": {"held": "${params.held}"}},
    more={"params": {"held": False}},
)  # fmt: skip

TWICE = [{"order": n, "qty": qty, "twice": 2 * qty} for n, qty in ((1, 5), (2, 6), (3, 7))]


@dataclass(frozen=True, slots=True)
class Expected:
    """What becomes of a run: its state, and the rows of its output `out`."""

    state: str = "succeeded"
    rows: list[dict[str, Any]] | None = None


def _counted(upto: int) -> Expected:
    return Expected(rows=[{"n": n} for n in range(upto)])


ENDS = {
    "running": _counted(3),
    "waiting": Expected(rows=[{"n": 1}]),
    "parked": Expected(rows=[{"item": 2}]),
    "mapped": Expected(rows=[{"item": n} for n in range(4)]),
    "data": Expected(rows=TWICE),
    "pieces": Expected(rows=[{"rows": 2_500_000, "true": 2_500_000}]),
    "first of one": _counted(2),
    "second of one": _counted(2),
    "paused": Expected(rows=[{"n": 0}]),
    "cancelling": Expected("cancelled"),
    "rejected": Expected(
        rows=[
            {"order": 1, "qty": "5", "twice": 10},
            *({"order": n, "qty": str(q), "twice": 2 * q} for n, q in ((3, 7), (4, 11))),
        ]
    ),
    "ended": Expected(rows=TWICE),
    "rerun": Expected(rows=TWICE),
}
"""The runs of the story by their names."""


def tell(mesh: VersionedMesh) -> dict[str, str]:
    """Begin all of them on a mesh that is up, and wait until each is where the mesh shall be killed; ids by name."""
    for name, text in (("orders.csv", ORDERS), ("numbers.csv", NUMBERS)):
        (mesh.folder / name).write_text(text)
    held = mesh.serve("held_modules.py", slots=11)
    wait_until_sync(lambda: "held.count" in mesh.module_names(), 60, message="the held modules are not there")
    mesh.cli("settings", "set", SETTING, str(VALUE))
    saved = mesh.folder / "running.json"
    saved.write_text(json.dumps(RUNNING))
    mesh.cli("flows", "put", str(saved))
    runs = _ended(mesh) | _open(mesh)
    for name, step, state in _PLACES:
        mesh.wait_for_step(runs[name], step, state)
    wait_until_sync(lambda: _pieces_done(mesh, runs["pieces"]) == 1, 60, message="the first piece is not done")
    mesh.cli("pause", runs["paused"])
    held.send_signal(signal.SIGSTOP)
    mesh.cli("cancel", runs["cancelling"])
    wait_until_sync(lambda: mesh.show(runs["cancelling"])["state"] == "cancelling", 60)
    return runs


def _ended(mesh: VersionedMesh) -> dict[str, str]:
    runs = {
        "ended": mesh.submit(json.dumps(ENDED), "--input", "orders=numbers.csv"),
        "rejected": mesh.submit(json.dumps(REJECTED), "--input", "orders=orders.csv"),
    }
    for run in runs.values():
        mesh.finish(run)
    return runs | {"rerun": str(mesh.json("rerun", runs["ended"], "--param", "held=true")["id"])}


def _open(mesh: VersionedMesh) -> dict[str, str]:
    documents = {
        "running": RUNNING, "waiting": WAITING, "parked": PARKED, "mapped": MAPPED, "pieces": PIECES, "first of one": ONE,
        "second of one": ONE, "paused": PAUSED, "cancelling": RUNNING,
    }  # fmt: skip
    runs = {name: mesh.submit(json.dumps(document), "--label", "told=yes") for name, document in documents.items()}
    return runs | {"data": mesh.submit(json.dumps(DATA), "--input", "orders=numbers.csv")}


_PLACES = (
    ("rerun", "twice", "running"),
    ("running", "it", "running"),
    ("waiting", "it", "waiting"),
    ("parked", "it", "parked"),
    ("mapped", "it.2", "succeeded"),
    ("mapped", "it.3", "running"),
    ("first of one", "it", "running"),
    ("paused", "it", "running"),
    ("cancelling", "it", "running"),
    ("data", "twice", "running"),
)


def _pieces_done(mesh: VersionedMesh, run: str) -> int:
    steps = [step for step in mesh.show(run)["steps"] if step["id"].startswith("flip.")]
    return sum(step["state"] == "succeeded" for step in steps)


def end(mesh: VersionedMesh, runs: dict[str, str]) -> None:
    """Let all of them go on, on a mesh that is up, and see that each ends as it should."""
    mesh.serve("held_modules.py")
    mesh.serve("late_module.py")
    mesh.cli("resume", runs["paused"])
    mesh.open_gate()
    for name, expected in ENDS.items():
        mesh.finish(runs[name], expected.state)
        if expected.rows is not None:
            assert mesh.rows(runs[name], "out") == expected.rows, name
    (letter,) = mesh.json("dlq", "ls", "--run", runs["rejected"])["letters"]
    assert (letter["state"], letter["rows"]) == ("open", 1)
    settings = {one["name"]: one["value"] for one in mesh.json("settings", "ls")["settings"]}
    assert settings[SETTING] == VALUE
