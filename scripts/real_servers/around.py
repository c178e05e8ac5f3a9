"""A command with new servers around it, which are gone when it has ended."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from scripts.real_servers import life
from scripts.real_servers.catalog import servers
from scripts.real_servers.folders import START_VARIABLE, STATE_VARIABLE, Folders
from scripts.real_servers.problem import Problem

# Compiling takes minutes of all processors: the command goes first.
INSTALL = ("nice", "-n", "10", sys.executable, "-m", "scripts.real_servers", "install")


def run_with_servers(command: Sequence[str]) -> int:
    """Runs `command` and returns how it ended. Servers that it starts live in a folder of their own, for as long as it.

    What is not installed is installed meanwhile; a test that needs it waits.
    """
    if not command:
        raise Problem("run what? For example: scripts/servers run scripts/test --all tests/conformance")
    with tempfile.TemporaryDirectory(prefix="plugmesh-servers-") as state:
        installing = subprocess.Popen(INSTALL, stdout=sys.stderr, start_new_session=True)
        try:
            return _to_its_end(command, state)
        finally:
            if installing.poll() is None:
                os.killpg(installing.pid, signal.SIGTERM)
            installing.wait()
            for server in servers([], Folders(Folders.of(os.environ).cache, Path(state))):
                life.stop(server)


def _to_its_end(command: Sequence[str], state: str) -> int:
    """Ctrl-C reaches the command by itself, and it decides; a request to end is handed on."""
    child = subprocess.Popen(command, env={**os.environ, STATE_VARIABLE: state, START_VARIABLE: "1"})
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda number, frame: child.terminate())
    return child.wait()
