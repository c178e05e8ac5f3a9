"""A mesh of real processes that fall into a trap, are started again, and have to finish what they were asked for."""

from __future__ import annotations

import json
import signal
import subprocess
import urllib.error
import urllib.request
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

from tests.crash.killing_runtime import PASSED
from tests.e2e.real_mesh import RealMesh, _opener
from tests.waiting import wait_until_sync

WITHIN_S = 60


class Trapped(ABC):
    """What a story does with a mesh whose processes die at the trap, and are started again by `look_after`."""

    def __init__(self, folder: Path) -> None:
        self.trap = folder / "trap"
        self.database = folder / "effects.db"

    @property
    @abstractmethod
    def url(self) -> str:
        """Of the gateway."""

    @abstractmethod
    def said(self) -> str:
        """How all logs end."""

    @abstractmethod
    def look_after(self) -> None:
        """Start again whatever has died, and lift what the mesh holds against modules whose executors were killed."""

    @abstractmethod
    def end(self, role: str, number: signal.Signals) -> None:
        """Send a process of this role a signal, and wait until it is gone."""

    @abstractmethod
    def plug_in(self, text: str) -> None:
        """Serve a file of its own."""

    @abstractmethod
    def plug_out(self) -> None:
        """Serve it no more."""

    @property
    def hook(self) -> str:
        """Who is told that a run has ended."""
        return f"{self.url}/healthz"

    def enable_modules(self) -> None:
        """Lift what the mesh holds against modules whose executors were killed."""
        _, answer = self.ask("GET", "/api/v1/modules")
        for module in (answer or {}).get("modules", ()):
            if module.get("disabled"):
                self.ask("POST", f"/api/v1/modules/{module['name']}/enable", {})

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

    def offers(self, name: str) -> bool:
        """Whether the mesh has a module, and somebody serves it."""
        self.look_after()
        _, answer = self.ask("GET", "/api/v1/modules")
        return any(module["name"] == name and module["live"] for module in (answer or {}).get("modules", ()))

    def ended(self, run: str) -> Any:
        """The run, once it has ended."""
        self.look_after()
        _, document = self.ask("GET", f"/api/v1/runs/{run}?wait_s=1")
        return document if document and document["state"] not in {"queued", "running", "cancelling"} else None

    def until(self, method: str, path: str, body: Any = None, key: str = "", kind: str = "application/json") -> Any:
        """What is answered in the end."""

        def answered() -> Any:
            self.look_after()
            status, answer = self.ask(method, path, body, key, kind)
            assert status in {0, 503} or status < 300, f"{method} {path}: {status} {answer}{self.said()}"
            return answer if 200 <= status < 300 else None

        return wait_until_sync(answered, WITHIN_S, message=self.said())

    def ask(
        self, method: str, path: str, body: Any = None, key: str = "", kind: str = "application/json"
    ) -> tuple[int, Any]:
        """Status and document; status 0 when the connection broke: what became of the request is unknown then."""
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        headers = {"Content-Type": kind} | ({"Idempotency-Key": key} if key else {})
        request = urllib.request.Request(f"{self.url}{path}", data=data, method=method, headers=headers)
        try:
            with _opener().open(request, timeout=30) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())
        except (OSError, ValueError):
            return 0, None


class TrappedMesh(Trapped):
    """A mesh of one server and one process of modules, in a folder."""

    def __init__(self, folder: Path, port: int) -> None:
        super().__init__(folder)
        self.mesh = RealMesh(folder, port)
        self.module: subprocess.Popen[bytes]
        self._fresh: subprocess.Popen[bytes] | None = None
        self._fresh_file = folder / "fresh.py"

    @property
    def url(self) -> str:
        return self.mesh.url

    def said(self) -> str:
        return self.mesh.said()

    def up(self) -> None:
        """Start the server and the module."""
        self._start_server()
        self._serve()
        wait_until_sync(lambda: "crash.start" in self.mesh.module_names(), WITHIN_S, message=self.said())

    def _start_server(self) -> None:
        self.mesh.server = self.mesh.start(
            "up", "--port", str(self.mesh.port), "--data", str(self.mesh.data), "--no-builtins"
        )

    def _serve(self) -> None:
        file = Path(__file__).with_name("steps.py")
        self.module = self.mesh.start("module", "serve", str(file), "--slots", "1")

    def look_after(self) -> None:
        if self.mesh.server.poll() is not None:
            self._start_server()
        if self.module.poll() is not None:
            self._serve()
        if self._fresh is not None and self._fresh.poll() is not None:
            self._fresh = self.mesh.start("module", "serve", str(self._fresh_file), "--slots", "1")
        self.enable_modules()

    def end(self, role: str, number: signal.Signals) -> None:
        process = self.mesh.server if role == "server" else self.module
        process.send_signal(number)
        process.wait(WITHIN_S)

    def plug_in(self, text: str) -> None:
        self._fresh_file.write_text(text)
        self._fresh = self.mesh.start("module", "serve", str(self._fresh_file), "--slots", "1")

    def plug_out(self) -> None:
        fresh, self._fresh = self._fresh, None
        if fresh is not None:
            fresh.terminate()
            fresh.wait(WITHIN_S)
