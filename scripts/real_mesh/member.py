"""One process of a mesh: started, hurt and started again as its test wants."""

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from signal import SIGCONT, SIGSTOP, SIGTERM

STOP_S = 40.0
"""A module process has ten seconds to drain, and so has what it waits for."""


class Ended(Exception):
    """A process is not there, or did not end as it should; the message says which, and how its log ends."""


@dataclass(slots=True)
class Member:
    """A command, and the process that runs it now, if one does. `port` is where it serves HTTP; 0: nowhere.

    What it says goes to `log`, one start after the other. `starts` counts them. `wanted`: nobody here has ended it.
    """

    name: str
    role: str
    command: Sequence[str]
    port: int
    log: Path
    environment: Mapping[str, str] = field(repr=False)
    starts: int = 0
    wanted: bool = False
    _said_before: int = 0
    _process: "subprocess.Popen[bytes] | None" = None

    def start(self) -> None:
        """Start it; it must not be running. Returns at once."""
        assert not self.running, f"{self.name} runs already"
        with self.log.open("ab") as output:
            self._said_before = output.tell()
            self._process = subprocess.Popen(
                self.command, cwd=self.log.parent, env=dict(self.environment),
                stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True,
            )  # fmt: skip
        self.starts += 1
        self.wanted = True

    @property
    def process(self) -> "subprocess.Popen[bytes]":
        """Raises Ended if it was never started."""
        if self._process is None:
            raise Ended(f"{self.name} was not started")
        return self._process

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def kill(self) -> None:
        """`kill -9`, and wait until it is gone. What it started itself ends by its own means."""
        self.wanted = False
        self.process.kill()
        self.process.wait()

    def pause(self) -> None:
        """SIGSTOP: its connections stay open, and it does nothing."""
        self.process.send_signal(SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        self.process.send_signal(SIGCONT)

    def terminate(self) -> None:
        """SIGTERM, and do not wait."""
        self.wanted = False
        self.process.send_signal(SIGTERM)

    def stop(self, within_s: float = STOP_S) -> int:
        """SIGTERM, and wait; the exit code. Raises as `wait`."""
        self.resume()
        self.terminate()
        return self.wait(within_s)

    def wait(self, within_s: float = STOP_S) -> int:
        """Until it has ended; the exit code. Raises Ended, and kills it, if that takes longer."""
        try:
            return self.process.wait(within_s)
        except subprocess.TimeoutExpired:
            self.kill()
            raise Ended(f"{self.name} did not end within {within_s:g} s\n{self.last_words()}") from None

    def restart(self) -> None:
        """Stop it, if it runs, and start it again with the same command."""
        if self.running:
            self.stop()
        self.start()

    @property
    def log_size(self) -> int:
        """A moment, for `said`."""
        return self.log.stat().st_size

    def said(self, since: int | None = None) -> str:
        """What it has said since its log was so long; without that, since its last start."""
        with self.log.open("rb") as log:
            log.seek(self._said_before if since is None else since)
            return log.read().decode(errors="replace")

    def last_words(self, characters: int = 4000) -> str:
        """How its log ends."""
        said = self.log.read_text(errors="replace") if self.log.exists() else ""
        return f"--- {self.name} ({self.log}) ends so:\n{said[-characters:]}"
