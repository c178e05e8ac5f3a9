"""A mesh of real processes in a folder of its own, driven as a person drives it: by the `plugmesh` command."""

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from plugmesh.cli.server.process import ProcessId
from plugmesh.cli.server.record import Record
from plugmesh.runtime import SystemRuntime
from scheduler.invariants.folder import check_folder
from scheduler.invariants.places import check_places
from scheduler.invariants.violation import Violation
from tests.e2e.leaks import MORE_FILES, leaks, open_files
from tests.waiting import wait_until_sync

PLUGMESH = str(Path(sys.prefix) / "bin" / "plugmesh")
MARK = "PLUGMESH_TEST_FAMILY"
ENDED = {"succeeded", "failed", "cancelled", "timed_out"}
START_S = 60


class RealMesh:
    """One data folder and one port; its server may be stopped, killed and started again. What is started is the Plugmesh
    in the environment with the folder `bin`, which may be another one from time to time."""

    bin = Path(sys.prefix) / "bin"

    def __init__(self, folder: Path, port: int, variables: Mapping[str, str] | None = None) -> None:
        self.folder, self.port = folder, port
        self.data = folder / "data"
        self.url = f"http://127.0.0.1:{port}"
        self._mark = uuid.uuid4().hex
        self.temporary = folder / "tmp"
        self.temporary.mkdir(exist_ok=True)
        self._environment = {
            **os.environ,
            "PLUGMESH_URL": self.url,
            MARK: self._mark,
            "COLUMNS": "200",
            "TMPDIR": str(self.temporary),
            **(variables or {}),
        }
        self._objects = self._environment.get("PLUGMESH_OBJECTS")
        self._started: list[subprocess.Popen[bytes]] = []
        self._files_at_start = (0, 0)
        self.killed = False
        """Whether a process was, or may have been, ended with -9: what it left is swept before anybody complains."""
        self.server: subprocess.Popen[bytes]

    # -- processes -----------------------------------------------------------------------------------------------------

    def up(self, *options: str) -> None:
        """Start the server and wait until its palette is there."""
        self.server = self.start("up", "--port", str(self.port), "--data", str(self.data), *options)
        wait_until_sync(self._ready, START_S, message="the mesh is not ready")
        self._files_at_start = (self.server.pid, open_files(self.server.pid))

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start a `plugmesh` command and leave it running; what it says goes to a file."""
        return self._start([str(self.bin / "plugmesh"), *arguments])

    def start_python(self, file: Path) -> subprocess.Popen[bytes]:
        """Start an author's file, which serves itself, and leave it running."""
        return self._start([str(self.bin / "python"), str(file)])

    def _start(self, command: list[str]) -> subprocess.Popen[bytes]:
        log = self.folder / f"process-{len(self._started)}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                command, cwd=self.folder, env=self._environment,
                stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True,
            )  # fmt: skip
        self._started.append(process)
        return process

    def said(self) -> str:
        """Everything that was said by what was left running, and by the server's own children."""
        logs = sorted(self.folder.glob("*.log")) + sorted((self.data / "run").rglob("*.log"))
        return "".join(f"\n--- {log.name}\n{log.read_text(errors='replace')[-6000:]}" for log in logs)

    def said_last(self) -> str:
        """What the process that was started last has said."""
        return (self.folder / f"process-{len(self._started) - 1}.log").read_text(errors="replace")

    def kill_server(self) -> None:
        """`kill -9` of the server alone."""
        self.killed = True
        self.server.kill()
        self.server.wait()

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Stop the server in order; its exit code."""
        self.server.send_signal(number)
        return self.server.wait(timeout=60)

    def builtins(self) -> ProcessId:
        """The process that serves the built-in modules."""
        found = wait_until_sync(lambda: self.child("builtins"), START_S, message="no process of the built-in modules")
        assert found is not None
        return found

    def child(self, name: str) -> ProcessId | None:
        """The process of a service of the server, by the beginning of its record's name."""
        for path in (self.data / "run").rglob("*.json"):
            if path.name.startswith(name):
                for kept in Record(path).read():
                    process = kept.process() if not kept.leaving else None
                    if process is not None:
                        return process
        return None

    def family(self) -> list[int]:
        """Every live process that this mesh, or a process of it, started."""
        wanted = f"{MARK}={self._mark}".encode()
        return [pid for pid in map(int, filter(str.isdecimal, os.listdir("/proc"))) if wanted in _environment(pid)]

    def close(self) -> None:
        """End everything and check what must be true of every mesh afterwards."""
        said = self.said()
        more_files = self._more_files()
        for process in reversed(self._started):
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.terminate()
        for process in self._started:
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        left = self._left_behind()
        violations = self._violations() if (self.data / "state.db").exists() else []
        assert not violations, f"{[str(violation) for violation in violations]}{said}"
        assert not left, f"left behind: {left}{said}"
        assert not more_files, f"{more_files}{said}"
        lost = (
            leaks(self.data, self.temporary, killed=self.killed or -signal.SIGKILL in self._exits())
            if not self.family()
            else []
        )
        assert not lost, f"leaks: {lost}{said}"

    def _violations(self) -> Sequence[Violation]:
        if not self._objects:
            return check_folder(self.data).violations
        return check_places(f"sqlite:///{self.data}/state.db", self._objects, SystemRuntime()).violations

    def _exits(self) -> set[int | None]:
        return {process.returncode for process in self._started}

    def _more_files(self) -> str:
        """What the server has open, if that is many more than when it was ready."""
        pid, before = self._files_at_start
        if self.server.poll() is not None or self.server.pid != pid:
            return ""
        with suppress(AssertionError):  # connections are closed after a while
            wait_until_sync(lambda: open_files(pid) <= before + MORE_FILES, 5)
        now = open_files(pid)
        return f"the server has {now} open files, and had {before}" if now > before + MORE_FILES else ""

    def _left_behind(self) -> list[str]:
        """What is still there; the children of a server that was killed last end later, by their own clock."""
        killed = self.server.returncode == -signal.SIGKILL
        if not killed:
            with suppress(AssertionError):
                wait_until_sync(lambda: not self.family(), 10)
        left = {pid: _command(pid) for pid in self.family()}
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return [] if killed else [f"{pid}: {command}" for pid, command in left.items()]

    # -- the command ---------------------------------------------------------------------------------------------------

    def cli(self, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        """Run a `plugmesh` command to its end, which must be `code`."""
        done = subprocess.run(
            [str(self.bin / "plugmesh"), *arguments], cwd=self.folder, env=self._environment, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
        assert done.returncode == code, f"{arguments}: {done.returncode}\n{done.stdout}{done.stderr}{self.said()}"
        return done

    def json(self, *arguments: str, code: int = 0) -> Any:
        """What a command answers with `--json`."""
        return json.loads(self.cli(*arguments, "--json", code=code).stdout)

    def submit(self, flow: str, *arguments: str) -> str:
        """Submit a flow's text, with the options of `plugmesh run`; the run's id."""
        path = self.folder / f"flow-{uuid.uuid4().hex[:8]}.yaml"
        path.write_text(flow)
        return str(self.json("run", str(path), *arguments)["id"])

    def ask(self, path: str) -> Any:
        """What the API answers; `None` while there is no server."""
        try:
            with _opener().open(f"{self.url}{path}", timeout=30) as answer:
                return json.loads(answer.read())
        except urllib.error.HTTPError:
            raise
        except OSError:
            return None

    def show(self, run: str) -> Any:
        """The run as the API shows it."""
        return self.ask(f"/api/v1/runs/{run}")

    def step(self, run: str, name: str) -> Any:
        """One step of a run."""
        return next(step for step in self.show(run)["steps"] if step["id"] == name)

    def wait_for_step(self, run: str, name: str, *states: str) -> Any:
        """Wait until a step is in one of the states."""

        def there() -> Any:
            document = self.show(run) or {"steps": ()}
            step = next((step for step in document["steps"] if step["id"] == name), None)
            return step if step and step["state"] in states else None

        try:
            return wait_until_sync(there, START_S, every_s=0.05)
        except AssertionError as error:
            raise AssertionError(f"{name} is not {states}: {self.show(run)}{self.said()}") from error

    def finish(self, run: str, state: str = "succeeded") -> Any:
        """Follow a run to its end, which must be `state`."""
        document = wait_until_sync(lambda: self._ended(run), START_S, message=f"{run} does not end{self.said()}")
        assert document["state"] == state, f"{document}{self.said()}"
        return document

    def _ended(self, run: str) -> Any:
        document = self.ask(f"/api/v1/runs/{run}?wait_s=5")
        return document if document and document["state"] in ENDED else None

    def rows(self, run: str, output: str) -> list[dict[str, Any]]:
        """All rows of an output of a flow that was run to its end."""
        made = self.show(run)["outputs"][output]
        found: list[dict[str, Any]] = self.ask(
            f"/api/v1/runs/{run}/steps/{made['step']}/outputs/{made['port']}?limit=10000"
        )["rows"]
        return found

    def module_names(self, *, live: bool = True) -> set[str]:
        """The modules that the mesh lists; with `live` only those that somebody serves."""
        answer = self.ask("/api/v1/modules") or {"modules": ()}
        return {module["name"] for module in answer["modules"] if module["live"] or not live}

    def instances(self) -> list[dict[str, Any]]:
        """Everybody on the mesh."""
        answer = self.ask("/api/v1/instances") or {"instances": []}
        return list(answer["instances"])

    def _ready(self) -> bool:
        if self.server.poll() is not None:
            raise AssertionError(f"the server ended with {self.server.returncode}{self.said()}")
        try:
            with _opener().open(f"{self.url}/readyz", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False


def _opener() -> urllib.request.OpenerDirector:
    return urllib.request.build_opener(urllib.request.ProxyHandler({}))  # the machine's proxy is not for 127.0.0.1


def _environment(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return []


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return "?"
