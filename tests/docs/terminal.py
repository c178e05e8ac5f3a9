"""The shell of a documentation page: commands that end, and commands that are left running."""

import os
import signal
import subprocess
import sys
from pathlib import Path


class Terminal:
    """Runs commands in `folder`, where `plugmesh` and `.venv/bin/plugmesh` are those of this environment."""

    def __init__(self, folder: Path, mesh_url: str) -> None:
        self._folder = folder
        self._running: list[tuple[subprocess.Popen[bytes], Path]] = []
        path = f"{Path(sys.prefix) / 'bin'}{os.pathsep}{os.environ['PATH']}"
        self._environment = {**os.environ, "PATH": path, "PLUGMESH_URL": mesh_url, "PYTHONUNBUFFERED": "1"}
        (folder / ".venv").symlink_to(sys.prefix)

    def finish(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        """Run a command to its end, stderr among its output. One that does not end within two minutes "ends" with 124."""
        try:
            return subprocess.run(
                command, cwd=self._folder, env=self._environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT, text=True, timeout=120, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired as late:
            output = (late.stdout or b"").decode()
            return subprocess.CompletedProcess(command, 124, f"{output}\nstill running after two minutes")

    def start(self, command: str) -> subprocess.Popen[bytes]:
        """Start a shell command that is left running until `close`."""
        log = self._folder.parent / f"running-{len(self._running)}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                ["bash", "-c", f"exec {command}"], cwd=self._folder, env=self._environment,
                stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True,
            )  # fmt: skip
        self._running.append((process, log))
        return process

    def logs(self) -> str:
        """The last words of everything that was left running."""
        return "".join(f"\n--- {log.name}\n{log.read_text()[-4000:]}" for _, log in self._running)

    def close(self) -> None:
        """End what is still running, the last first."""
        for process, _ in reversed(self._running):
            process.terminate()
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
