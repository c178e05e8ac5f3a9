"""A mesh of real processes that fall into a trap, are started again, and have to finish what they were asked for."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.crash.killing_runtime import PASSED
from tests.e2e.real_mesh import RealMesh, _opener
from tests.waiting import wait_until_sync

WITHIN_S = 60
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


class TrappedMesh:
    """A mesh whose processes die at the trap."""

    def __init__(self, folder: Path, port: int) -> None:
        self.trap = folder / "trap"
        self.mesh = RealMesh(folder, port)
        self._database = folder / "effects.db"
        self._hook = f"http://127.0.0.1:{port}/healthz"
        self.module: subprocess.Popen[bytes]
        self._plugged: subprocess.Popen[bytes] | None = None
        self._plug_in_file = folder / "fresh.py"

    # -- processes -----------------------------------------------------------------------------------------------------

    def up(self) -> None:
        """Start the server and the module."""
        self._start_server()
        self._serve()
        wait_until_sync(lambda: "crash.start" in self.mesh.module_names(), WITHIN_S, message=self.mesh.said())

    def _start_server(self) -> None:
        self.mesh.server = self.mesh.start(
            "up", "--port", str(self.mesh.port), "--data", str(self.mesh.data), "--no-builtins"
        )

    def _serve(self) -> None:
        file = Path(__file__).with_name("steps.py")
        self.module = self.mesh.start("module", "serve", str(file), "--slots", "1")

    def look_after(self) -> None:
        """Start again whatever has died, and lift what the mesh holds against modules whose executors were killed."""
        if self.mesh.server.poll() is not None:
            self._start_server()
        if self.module.poll() is not None:
            self._serve()
        if self._plugged is not None and self._plugged.poll() is not None:
            self._plugged = self.mesh.start("module", "serve", str(self._plug_in_file), "--slots", "1")
        _, answer = self._ask("GET", "/api/v1/modules")
        for module in (answer or {}).get("modules", ()):
            if module.get("disabled"):
                self._ask("POST", f"/api/v1/modules/{module['name']}/enable", {})

    def end(self, role: str, number: signal.Signals) -> None:
        """Send the server or the supervisor a signal, and wait until it is gone."""
        process = self.mesh.server if role == "server" else self.module
        process.send_signal(number)
        process.wait(WITHIN_S)

    # -- the trap ------------------------------------------------------------------------------------------------------

    def arm(self, role: str, point: str, nth: int) -> None:
        """Set the trap; it appears all at once."""
        draft = self.trap.with_name("draft")
        draft.write_text(f"{role} {point} {nth}")
        draft.rename(self.trap)

    def sprung(self) -> bool:
        """Somebody has fallen into it; until then everybody is looked after."""
        self.look_after()
        return not self.trap.exists()

    def passed(self) -> set[tuple[str, str]]:
        """Role and name of every point that was ever passed."""
        lines = self.trap.with_name(self.trap.name + PASSED).read_text().splitlines()
        return {(role, point) for role, point in map(str.split, lines)}

    # -- what is asked of it -------------------------------------------------------------------------------------------

    def finish(self) -> str:
        """Submit the flow, see it to its end, and compare result and effects; repeat each request until it is answered."""
        label = uuid.uuid4().hex
        body = {
            "flow": FLOW,
            "params": {"label": label, "database": str(self._database)},
            "notify": [{"url": self._hook}],
        }
        run = str(self._until("POST", "/api/v1/runs", body, label)["id"])
        self._succeeds(run, RESULT)
        self._noted(label)
        return run

    def rerun(self) -> None:
        """Run the flow, and some of it again: the rest is taken over, and the effects are known."""
        run = self.finish()
        label = self._until("GET", f"/api/v1/runs/{run}")["params"]["label"]
        again = self._until("POST", f"/api/v1/runs/{run}/rerun", {"from": ["all"]}, uuid.uuid4().hex)["id"]
        self._succeeds(again, RESULT)
        self._noted(label)
        assert self.mesh.step(again, "two")["state"] == "recovered"

    def redrive(self) -> None:
        """Run the flow that rejects a row, correct the row, and give it to a new run."""
        run = self._until("POST", "/api/v1/runs", {"flow": SIFT}, uuid.uuid4().hex)["id"]
        self._succeeds(run, [1, 3])
        [letter] = self._until("GET", f"/api/v1/dlq?run={run}")["letters"]
        self._until("PUT", f"/api/v1/dlq/{letter['id']}/rows", CORRECTED)
        again = self._until("POST", f"/api/v1/dlq/{letter['id']}/redrive", {})["run"]
        self._succeeds(again, [5])

    def switch(self) -> None:
        """Disable a module, and enable it again."""
        for what in ("disable", "enable"):
            self._until("POST", f"/api/v1/modules/crash.note/{what}", {"reason": "to see"})

    def _succeeds(self, run: str, numbers: list[int]) -> None:
        document = wait_until_sync(lambda: self._ended(run), WITHIN_S, message=self.mesh.said())
        assert document["state"] == "succeeded", f"{document}{self.mesh.said()}"
        rows = self._until("GET", f"/api/v1/runs/{run}/steps/all/outputs/out/rows")["rows"]
        assert [row["n"] for row in rows] == numbers

    def _noted(self, label: str) -> None:
        with closing(sqlite3.connect(self._database)) as connection:
            found = connection.execute("SELECT n FROM effect WHERE label = ? ORDER BY rowid", (label,))
            assert [number for (number,) in found] == RESULT

    def cancel(self) -> None:
        """Submit a run that would wait for ever, cancel it, and see that it ends."""
        run = self._until("POST", "/api/v1/runs", {"flow": NEVER}, uuid.uuid4().hex)["id"]
        self._until("POST", f"/api/v1/runs/{run}/cancel", {})
        document = wait_until_sync(lambda: self._ended(run), WITHIN_S, message=self.mesh.said())
        assert document["state"] == "cancelled", document

    def upload(self) -> None:
        """Upload a file; it is there then."""
        name = uuid.uuid4().hex
        assert self._until("PUT", f"/api/v1/files/{name}.csv", UPLOAD)["bytes"] == len(UPLOAD)

    def plug_in(self) -> None:
        """Serve a module that was never there, until the mesh has it, and take it away again."""
        name = f"fresh.m{uuid.uuid4().hex}"
        self._plug_in_file.write_text(FRESH.format(name=name))
        self._plugged = self.mesh.start("module", "serve", str(self._plug_in_file), "--slots", "1")
        wait_until_sync(lambda: self._offers(name), WITHIN_S, message=self.mesh.said())
        fresh, self._plugged = self._plugged, None
        fresh.terminate()
        fresh.wait(WITHIN_S)

    def _offers(self, name: str) -> bool:
        self.look_after()
        _, answer = self._ask("GET", "/api/v1/modules")
        return any(module["name"] == name and module["live"] for module in (answer or {}).get("modules", ()))

    def _ended(self, run: str) -> Any:
        self.look_after()
        _, document = self._ask("GET", f"/api/v1/runs/{run}?wait_s=1")
        return document if document and document["state"] not in {"queued", "running", "cancelling"} else None

    def _until(self, method: str, path: str, body: Any = None, key: str = "") -> Any:
        """What is answered in the end."""

        def answered() -> Any:
            self.look_after()
            status, answer = self._ask(method, path, body, key)
            assert status in {0, 503} or status < 300, f"{method} {path}: {status} {answer}{self.mesh.said()}"
            return answer if 200 <= status < 300 else None

        return wait_until_sync(answered, WITHIN_S, message=self.mesh.said())

    def _ask(self, method: str, path: str, body: Any = None, key: str = "") -> tuple[int, Any]:
        """Status and document; status 0 when the connection broke: what became of the request is unknown then."""
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        kind = {UPLOAD: "text/csv", CORRECTED: "application/x-ndjson"}.get(data or b"", "application/json")
        headers = {"Content-Type": kind} | ({"Idempotency-Key": key} if key else {})
        request = urllib.request.Request(f"{self.mesh.url}{path}", data=data, method=method, headers=headers)
        try:
            with _opener().open(request, timeout=30) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())
        except (OSError, ValueError):
            return 0, None


Story = Callable[[TrappedMesh], object]
