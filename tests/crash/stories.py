"""What a trapped mesh is asked for: each request is repeated until it is answered, and all of it must end right."""

from __future__ import annotations

import signal
import sqlite3
import uuid
from collections.abc import Callable
from contextlib import closing
from typing import Any

from tests.crash.trapped import WITHIN_S, Trapped
from tests.waiting import wait_until_sync

Story = Callable[[Trapped], object]
RETRY = {"attempts": 20, "delay": "100ms", "max_delay": "500ms"}
FLOW: dict[str, Any] = {
    "flow": "crash/all",
    "concurrency": {"limit": 1},
    "params": {"label": {"type": "string"}, "database": {"type": "string"}},
    "nodes": {
        "one": {"module": "crash.start", "retry": RETRY},
        "two": {"module": "crash.add", "in": "one", "params": {"n": 10}, "retry": RETRY},
        "each": {"module": "crash.add", "in": "two", "map": [100, 200], "params": {"n": "${item}"}, "retry": RETRY},
        "all": {"module": "crash.add", "in": "each", "params": {"n": 1000}, "retry": RETRY},
        "note": {
            "module": "crash.note",
            "in": "all",
            "params": {"database": "${params.database}", "label": "${params.label}"},
            "retry": RETRY,
        },
    },
    "outputs": {"result": "all"},
}
"""A chain, a map and a sink in one."""
RESULT = [1111, 1112, 1113, 1211, 1212, 1213]
SIFT: dict[str, Any] = {
    "flow": "crash/sift",
    "nodes": {
        "one": {"module": "crash.start", "retry": RETRY},
        "all": {"module": "crash.sift", "in": "one", "retry": RETRY},
    },
    "outputs": {"result": "all"},
}
"""One of its rows is rejected."""
CORRECTED = b'{"n": 5}\n'
NEVER = {"flow": "crash/never", "nodes": {"only": {"module": "nobody.serves.this"}}}
FRESH = """
from module_sdk import module

@module("{name}")
def fresh(*, n: int) -> int:
    return n
"""
UPLOAD = b"n\n1\n"


def finish(trapped: Trapped) -> str:
    """Submit the flow, see it to its end, and compare result and effects; repeat each request until it is answered."""
    label = uuid.uuid4().hex
    body = {
        "flow": FLOW,
        "params": {"label": label, "database": str(trapped.database)},
        "notify": [{"url": trapped.hook}],
    }
    run = str(trapped.until("POST", "/api/v1/runs", body, label)["id"])
    _succeeds(trapped, run, RESULT)
    _noted(trapped, label)
    return run


def rerun(trapped: Trapped) -> None:
    """Run the flow, and some of it again: the rest is taken over, and the effects are known."""
    run = finish(trapped)
    label = trapped.until("GET", f"/api/v1/runs/{run}")["params"]["label"]
    again = trapped.until("POST", f"/api/v1/runs/{run}/rerun", {"from": ["all"]}, uuid.uuid4().hex)["id"]
    _succeeds(trapped, again, RESULT)
    _noted(trapped, label)
    assert trapped.until("GET", f"/api/v1/runs/{again}/steps/two")["state"] == "recovered"


def redrive(trapped: Trapped) -> None:
    """Run the flow that rejects a row, correct the row, and give it to a new run."""
    run = trapped.until("POST", "/api/v1/runs", {"flow": SIFT}, uuid.uuid4().hex)["id"]
    _succeeds(trapped, run, [1, 3])
    [letter] = trapped.until("GET", f"/api/v1/dlq?run={run}")["letters"]
    trapped.until("PUT", f"/api/v1/dlq/{letter['id']}/rows", CORRECTED, kind="application/x-ndjson")
    again = trapped.until("POST", f"/api/v1/dlq/{letter['id']}/redrive", {})["run"]
    _succeeds(trapped, again, [5])


def switch(trapped: Trapped) -> None:
    """Disable a module, and enable it again."""
    for what in ("disable", "enable"):
        trapped.until("POST", f"/api/v1/modules/crash.note/{what}", {"reason": "to see"})


def _succeeds(trapped: Trapped, run: str, numbers: list[int]) -> None:
    document = wait_until_sync(lambda: trapped.ended(run), WITHIN_S, message=trapped.said())
    assert document["state"] == "succeeded", f"{document}{trapped.said()}"
    rows = trapped.until("GET", f"/api/v1/runs/{run}/steps/all/outputs/out/rows")["rows"]
    assert [row["n"] for row in rows] == numbers


def _noted(trapped: Trapped, label: str) -> None:
    with closing(sqlite3.connect(trapped.database)) as connection:
        found = connection.execute("SELECT n FROM effect WHERE label = ? ORDER BY rowid", (label,))
        assert [number for (number,) in found] == RESULT


def cancel(trapped: Trapped) -> None:
    """Submit a run that would wait for ever, cancel it, and see that it ends."""
    run = trapped.until("POST", "/api/v1/runs", {"flow": NEVER}, uuid.uuid4().hex)["id"]
    trapped.until("POST", f"/api/v1/runs/{run}/cancel", {})
    document = wait_until_sync(lambda: trapped.ended(run), WITHIN_S, message=trapped.said())
    assert document["state"] == "cancelled", document


def upload(trapped: Trapped) -> None:
    """Upload a file; it is there then."""
    name = uuid.uuid4().hex
    assert trapped.until("PUT", f"/api/v1/files/{name}.csv", UPLOAD, kind="text/csv")["bytes"] == len(UPLOAD)


def plug_in(trapped: Trapped) -> None:
    """Serve a module that was never there, until the mesh has it, and take it away again."""
    name = f"fresh.m{uuid.uuid4().hex}"
    trapped.plug_in(FRESH.format(name=name))
    wait_until_sync(lambda: trapped.offers(name), WITHIN_S, message=trapped.said())
    trapped.plug_out()


def restart_server(trapped: Trapped) -> None:
    """Its start passes points, too."""
    trapped.end("server", signal.SIGKILL)


def restart_module(trapped: Trapped) -> None:
    """So does a supervisor's."""
    trapped.end("supervisor", signal.SIGKILL)


def restart_scheduler(trapped: Trapped) -> None:
    """Another one takes its shards, and it takes some of them back."""
    trapped.end("scheduler", signal.SIGKILL)


def stop_scheduler(trapped: Trapped) -> None:
    """It gives its shards back."""
    trapped.end("scheduler", signal.SIGTERM)


def stop_server(trapped: Trapped) -> None:
    """And an end in order; the process may die of that, too."""
    trapped.end("server", signal.SIGTERM)
