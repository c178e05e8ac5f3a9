"""One call of a peer's script: in a folder of its own, and nothing that it started outlives it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path

from benchmarks.peers.environment import Skipped, last_line
from benchmarks.peers.protocol import Answer

_ROOT = Path(__file__).parents[2]
_LIMIT_S = 300.0
_INHERITED = ("PATH", "LANG", "LC_ALL", "TZ")
# Whatever a script starts inherits this variable; by it the processes of one call are known, also those that left its session.
_MARK = "PLUGMESH_PEER_FOLDER"


def call(python: Path, script: Path, workload: str, *, limit_s: float = _LIMIT_S) -> Answer:
    """The answer of the script. Raises `Skipped` if it fails, says something else, or takes longer than `limit_s`."""
    folder = Path(tempfile.mkdtemp(prefix="pm-peer-"))  # short: Unix sockets below it have a limit of 107 bytes
    try:
        code = _run((str(python), "-P", str(script), workload), folder, limit_s)
        if code != 0:
            raise Skipped(f"ended with code {code}: {last_line(_said(folder, 'stderr'))}")
        return _answer(_said(folder, "stdout"))
    finally:
        end_marked(folder)
        shutil.rmtree(folder, ignore_errors=True)


def _run(command: tuple[str, ...], folder: Path, limit_s: float) -> int:
    environment = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    environment |= {"HOME": str(folder), "TMPDIR": str(folder), "PYTHONPATH": str(_ROOT), _MARK: str(folder)}
    # No usage statistics go anywhere.
    environment |= {"DO_NOT_TRACK": "1", "RAY_USAGE_STATS_ENABLED": "0"}
    # Files, not pipes: a pipe ends only with the last process that has it.
    with (folder / "stdout").open("wb") as output, (folder / "stderr").open("wb") as errors:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=errors, env=environment, cwd=folder
        )
        try:
            return process.wait(limit_s)
        except subprocess.TimeoutExpired:
            raise Skipped(f"did not end within {limit_s:g} s") from None
        finally:
            end_marked(folder)
            process.wait()


def _said(folder: Path, name: str) -> str:
    return (folder / name).read_text(errors="replace")


def _answer(output: str) -> Answer:
    line = last_line(output)
    try:
        return Answer(**json.loads(line))
    except (ValueError, TypeError):
        raise Skipped(f"gave no answer, but: {line}") from None


def end_marked(folder: Path) -> None:
    """Kill every process that was started for the call whose folder this is (Linux)."""
    word = f"{_MARK}={folder}".encode()
    while marked := [pid for pid in _processes() if word in _environment(pid)]:
        for pid in marked:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def _processes() -> list[int]:
    return [
        int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit() and int(entry.name) != os.getpid()
    ]


def _environment(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:  # gone, or somebody else's
        return []
