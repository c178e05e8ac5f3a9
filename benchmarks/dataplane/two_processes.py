"""A mesh whose modules are served by several processes, and what each process has used."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.client import Client
from benchmarks.mesh import answers, children, cpu_us, place, up, wait

_HERE = Path(__file__).parent
RUN_LIMIT_S = 600


@dataclass(frozen=True, slots=True)
class Processes:
    """A mesh and a connection to it. `server` and `supervisors` are process ids; executors are the supervisors' children."""

    client: Client
    folder: Path
    server: int
    supervisors: Mapping[str, int]

    def named(self) -> dict[str, int]:
        """Every process by what it does: `server`, `supervisor-NAME`, `executor-NAME`."""
        found = {"server": self.server}
        for name, supervisor in self.supervisors.items():
            found[f"supervisor-{name}"] = supervisor
            executors = children(supervisor)
            found |= {f"executor-{name}" + f"-{at}" * bool(at): pid for at, pid in enumerate(executors)}
        return found

    def cpu_us(self) -> dict[str, float]:
        """CPU time so far of each kind of process, in µs."""
        kinds = {"server": 0.0, "supervisors": 0.0, "executors": 0.0}
        for name, pid in self.named().items():
            kinds[next(kind for kind in kinds if name.startswith(kind.rstrip("s")))] += cpu_us(pid)
        return kinds

    def run(self, flow: Mapping[str, Any] | str, inputs: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Run a flow to its end; the run. Raises `RuntimeError` if it does not succeed."""
        body = {"flow": flow} | ({"inputs": inputs} if inputs else {})
        run = self.client.post("/api/v1/runs", json.dumps(body).encode())["id"]
        for _ in range(RUN_LIMIT_S // 60):
            answer: dict[str, Any] = self.client.get(f"/api/v1/runs/{run}?wait_s=60")
            if answer["ended_at"] is not None:
                break
        if answer["state"] != "succeeded":
            errors = [(step["id"], step["error"]) for step in answer["steps"] if step["error"]]
            raise RuntimeError(f"run {run} is {answer['state']}: {errors or answer['reason'] or answer['waits_for']}")
        return answer

    def steps(self, run: str) -> dict[str, dict[str, Any]]:
        """The steps of a run by id, with what each used and wrote."""
        return {step["id"]: step for step in self.client.get(f"/api/v1/runs/{run}/steps")["steps"]}

    def objects(self, run: str, step: str) -> list[int]:
        """The sizes of all files that steps whose names begin like this have left in the store."""
        (folder,) = self.folder.glob(f"data/**/data/*/{run}")
        return [file.stat().st_size for file in folder.glob(f"{step}*/**/*") if file.is_file()]

    def let_go(self, run: str) -> None:
        """Delete a run and its data at once, as retention does in its own time."""
        self.client.delete(f"/api/v1/runs/{run}")
        self.client.post("/api/v1/data/gc", b"{}")


@contextmanager
def served_by(*commands: tuple[str, ...], variables: Mapping[str, str] | None = None) -> Iterator[Processes]:
    """A server without its built-in modules, and a module process for each script beside this one, with its arguments; all
    with these environment variables."""
    with place(variables) as (folder, port, start):
        server = up(folder, port, start, "--no-builtins")
        supervisors = {}
        for file, *arguments in commands:
            process = start(sys.executable, "-P", str(_HERE / file), *arguments)
            supervisors[arguments[0] if arguments else "modules"] = process.pid
        wait(lambda: _live(port) >= len(commands), folder, process)
        with _connected(folder, port, server.pid, supervisors) as mesh:
            yield mesh


@contextmanager
def with_builtins() -> Iterator[Processes]:
    """A server and its built-in modules."""
    with place() as (folder, port, start):
        server = up(folder, port, start)
        wait(lambda: _live(port), folder, server)
        (supervisor,) = [pid for pid in children(server.pid) if pid in _pids(port)]
        with _connected(folder, port, server.pid, {"builtins": supervisor}) as mesh:
            yield mesh


@contextmanager
def _connected(folder: Path, port: int, server: int, supervisors: Mapping[str, int]) -> Iterator[Processes]:
    client = Client(port)
    client.put("/api/v1/settings/retention_grace_s", b'{"value": 0.001}')
    try:
        yield Processes(client, folder, server, supervisors)
    finally:
        client.close()


def _live(port: int) -> int:
    return answers(port, "/api/v1/instances").count(b"'usable': True")


def _pids(port: int) -> set[int]:
    client = Client(port)
    listed = client.get("/api/v1/instances")["instances"]
    client.close()
    return {int(one["pid"]) for one in listed}
