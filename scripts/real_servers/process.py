"""Processes that outlive the command which started them, and that are never confused with others."""

import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from signal import SIGKILL, Signals

LOOK_EVERY_S = 0.02


@dataclass(frozen=True)
class Process:
    """A process by its id, and by when it started: ids are used again, so the id alone could name somebody else's."""

    pid: int
    started: str

    @classmethod
    def of(cls, pid: int) -> "Process":
        return cls(pid, f"{_boot()}-{_stat(pid)[1]}")

    @classmethod
    def read(cls, path: Path) -> "Process | None":
        """The process that `path` names; None if there is no such file, or nothing readable in it."""
        try:
            pid, started = path.read_text().split()
            return cls(int(pid), started)
        except (OSError, ValueError):
            return None

    def write(self, path: Path) -> None:
        new = path.with_suffix(".new")
        new.write_text(f"{self.pid} {self.started}\n")
        new.replace(path)

    def alive(self) -> bool:
        """Whether it still runs; one that has ended and that nobody has waited for does not."""
        with suppress(ChildProcessError):  # another command's child
            os.waitpid(self.pid, os.WNOHANG)
        try:
            state, _ = _stat(self.pid)
            return state not in "ZX" and Process.of(self.pid) == self
        except OSError:
            return False

    def signal(self, number: Signals) -> None:
        if self.alive():
            os.kill(self.pid, number)

    def end(self, by: Signals, patience_s: float) -> bool:
        """Asks it to end, and kills its whole group when it has not within `patience_s`; False if it had to."""
        self.signal(by)
        if self.wait_gone(patience_s):
            return True
        os.killpg(self.pid, SIGKILL)
        self.wait_gone(patience_s)
        return False

    def wait_gone(self, patience_s: float) -> bool:
        """Whether it has ended within `patience_s`."""
        end = time.monotonic() + patience_s
        while self.alive():
            if time.monotonic() > end:
                return False
            time.sleep(LOOK_EVERY_S)
        return True


def spawn(command: Sequence[str], environ: Mapping[str, str], log: Path) -> Process:
    """Starts `command` in a session of its own, with `environ` added to the environment and its words in `log`."""
    with log.open("ab") as words:
        said = words.fileno()
        pid = os.posix_spawnp(
            command[0],
            list(command),
            {**os.environ, **environ},
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_DUP2, said, 1),
                (os.POSIX_SPAWN_DUP2, said, 2),
            ],
            setsid=True,
        )
    return Process.of(pid)


def memory_mib(process: Process) -> int:
    """What it holds in memory now, without its children; 0 when it has ended."""
    try:
        lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) // 1024 for line in lines if line.startswith("VmRSS")), 0)


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _stat(pid: int) -> tuple[str, str]:
    """The state letter and the start time; the name before them may hold spaces and parentheses."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return fields[0], fields[19]
