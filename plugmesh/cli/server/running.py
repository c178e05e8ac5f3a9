"""One process of a service: started by this server, or by the one before it."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

from module_sdk.supervisor.signals import ASKED_BY_SERVER
from plugmesh.cli.server.process import ProcessId
from plugmesh.cli.server.record import MARK, Kept
from plugmesh.runtime import Runtime
from plugmesh.settings.given import for_children

TAIL_BYTES = 4000


class Running:
    """A process and its end. `since` is when this server started or adopted it (monotonic seconds)."""

    def __init__(
        self,
        kept: Kept,
        process: ProcessId,
        *,
        runtime: Runtime,
        changed: Callable[[], None],
        child: subprocess.Popen[bytes] | None = None,
        log: tuple[Path, int] | None = None,
    ) -> None:
        self.kept = kept.running(process)
        self.process = process
        self.since = runtime.now()
        self.joined = False
        self.adopted = child is None
        self.kill_at: float | None = None
        self._child = child
        self._log = log
        self._end: asyncio.Task[None] = runtime.spawn(process.ended(), f"end of process {process.pid}")
        self._changed = changed
        self._end.add_done_callback(self._ended)

    @property
    def over(self) -> bool:
        """It has ended."""
        return self._end.done()

    @property
    def exit_code(self) -> int | None:
        """As subprocess gives it, negative for a signal; `None` while it runs, or if another server started it."""
        return None if self._child is None or not self.over else self._child.returncode

    def terminate(self, kill_at: float) -> None:
        """Ask it to finish what it does and end; who looks after it kills it at `kill_at`."""
        self.kept = self.kept.model_copy(update={"leaving": True})
        self.kill_at = kill_at
        self.process.send(ASKED_BY_SERVER)

    def kill(self) -> None:
        """End it at once."""
        self.process.send(signal.SIGKILL)

    def forget(self) -> None:
        """Stop watching it; it goes on."""
        self._end.cancel()

    def _ended(self, end: asyncio.Task[None]) -> None:
        if not end.cancelled():
            if self._child is not None:
                self._child.wait()
            self._changed()

    def last_words(self) -> str:
        """The end of what it wrote since it was started."""
        if self._log is None:
            return ""
        path, start = self._log
        with path.open("rb") as file:
            file.seek(max(start, os.fstat(file.fileno()).st_size - TAIL_BYTES))
            return file.read().decode(errors="replace").strip()


def start(kept: Kept, log: Path, runtime: Runtime, changed: Callable[[], None]) -> Running:
    """Start a process in a session of its own, so that neither Ctrl-C nor the end of this server reaches it."""
    environment = {
        **{name: value for name, value in for_children(os.environ).items() if name not in kept.spec.withheld},
        **kept.spec.environment,
        "PLUGMESH_URL": kept.spec.url,
        "PYTHONUNBUFFERED": "1",
        MARK: kept.launch,
    }
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        position = output.tell()
        child = subprocess.Popen(
            kept.spec.command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    process = ProcessId.of(child.pid) or ProcessId(child.pid, 0, "")  # the latter: it has ended already
    return Running(kept, process, runtime=runtime, changed=changed, child=child, log=(log, position))
