"""A mesh whose processes may be of several versions."""

import http.client
import json
import os
import shutil
import signal
import subprocess
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.e2e.real_mesh import RealMesh

HERE = Path(__file__).resolve().parent
NOW = RealMesh.bin
GATES = "UPGRADE_GATES"


class VersionedMesh(RealMesh):
    """Begins with one version; `bin` says which one is started next. The held modules go on once the gate is open."""

    def __init__(self, folder: Path, port: int, bin: Path = NOW) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        super().__init__(folder, port, {GATES: str(folder)})
        self.bin = bin

    def open_gate(self) -> None:
        """Let the held modules go on."""
        (self.folder / "open").touch()

    def serve(self, name: str, slots: int = 4) -> subprocess.Popen[bytes]:
        """Serve the modules of a file that lies beside this one, with the version of now."""
        file = shutil.copy(HERE / name, self.folder)
        return self.start("module", "serve", str(file), "--slots", str(slots))

    def post_run(self, flow: Mapping[str, Any], params: Mapping[str, Any], key: str) -> str | None:
        """Submit a run over HTTP; its id, or `None` if nobody takes it now."""
        body = json.dumps({"flow": flow, "params": params}).encode()
        headers = {"content-type": "application/json", "idempotency-key": key}
        request = urllib.request.Request(f"{self.url}/api/v1/runs", body, headers)
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30) as answer:
                return str(json.loads(answer.read())["id"])
        except urllib.error.HTTPError as error:
            if error.code not in (429, 503):
                raise
        except (OSError, http.client.HTTPException):  # it was ended, perhaps in the middle of its answer
            pass
        return None

    def kill_all(self) -> None:
        """`kill -9` of every process, at once."""
        self.killed = True
        for number in (signal.SIGSTOP, signal.SIGKILL):  # nobody sees another one die
            for pid in self.family():
                os.kill(pid, number)
        for process in self._started:
            process.wait()
