"""A service: one child process that is kept there, replaced when its code changes, and found again by the next server.

`look` does everything that is due, whatever happened; it is called after each change and when its time is over.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from plugmesh.cli.server.record import Kept, Record, Spec
from plugmesh.cli.server.running import Running, start
from plugmesh.runtime import Runtime

ADOPT_S = 10.0
"""A process of the server before must have joined again by then, or it is replaced."""
SLOW_S = 10.0
"""A process that needs longer to join is mentioned."""
FIRST_DELAY_S, MAX_DELAY_S = 0.2, 15.0
STEADY_S = 30.0
"""A process that served so long did not fail at once: the next delay is the first one again."""
KILL_AFTER_S = 5.0
"""Beyond the time that a process has to finish its steps."""
_SHOWN_LINES = 20


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why the last process did not join: the end of what it said. `is_final`: it is not tried again as it is."""

    words: str
    is_final: bool


class Service:
    """Keeps one process of the wanted spec. `has_joined` tells whether the process with a pid is on the mesh.

    With `retry`, a process that ends before it has joined is tried again; without, not before its spec changes: the
    error is in the author's file.
    """

    def __init__(
        self,
        name: str,
        folder: Path,
        *,
        runtime: Runtime,
        has_joined: Callable[[int], bool],
        say: Callable[[str], None],
        drain_s: float,
        retry: bool,
    ) -> None:
        self.name = name
        self._record = Record(folder / f"{name}.json")
        self._log = folder / f"{name}.log"
        self._runtime = runtime
        self._has_joined = has_joined
        self._say = say
        self._drain_s = drain_s
        self._retry = retry
        self._wanted: Spec | None = None
        self._title = name
        self._broken: Spec | None = None
        self._trouble: Trouble | None = None
        self._current: Running | None = None
        self._leaving: list[Running] = []
        self._written: tuple[Kept, ...] = ()
        self._failures = 0
        self._resume_at = 0.0
        self._mentioned = False
        self._stopping = False
        self._wake = asyncio.Event()

    @property
    def serving(self) -> bool:
        """A process of it is on the mesh."""
        return self._current is not None and self._current.joined

    @property
    def settled(self) -> bool:
        """It serves what is wanted, or cannot."""
        if self._wanted is None or self._wanted == self._broken:
            return self._current is None
        return self.serving and self._current is not None and self._current.kept.spec == self._wanted

    @property
    def trouble(self) -> Trouble | None:
        """Why what is wanted is not served, since a process of it has ended before it joined."""
        return self._trouble if self._wanted is not None else None

    def want(self, spec: Spec | None, title: str = "") -> None:
        """From now on a process of `spec` is wanted; `None`: none at all. `title` is what people call it."""
        if self._stopping:
            return
        if spec != self._wanted:
            self._trouble = None
        self._wanted = spec
        self._title = title or self._title
        self._wake.set()

    def wake(self) -> None:
        """Something may have changed."""
        self._wake.set()

    async def run(self) -> None:
        """Look after it until `stop` was called and everything has ended."""
        self._adopt()
        while True:
            self._wake.clear()
            pause = self._look_safely()
            if self._stopping and not self._all():
                return
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._wake.wait()

    def stop(self) -> None:
        """Let it finish and end; `run` returns when it has."""
        self.want(None)
        self._stopping = True

    def abandon(self) -> None:
        """Leave the processes to the next server."""
        for running in self._all():
            running.forget()

    def kill(self) -> None:
        """Do not wait any longer."""
        for running in self._all():
            running.kill()

    # -- what is due -------------------------------------------------------------------------------------------------

    def _look_safely(self) -> float | None:
        try:
            return self.look()
        except OSError as error:  # no room on the disk, or no process can be started
            self._say(f"{self._title} cannot be looked after ({error}); trying again in {MAX_DELAY_S:g} s")
            return MAX_DELAY_S

    def look(self) -> float | None:
        """Do what is due; returns after how many seconds to look again, if nothing happens before."""
        now = self._runtime.now()
        self._bury(now)
        self._see_joined()
        if self._current is not None and self._current.kept.spec != self._wanted:
            # At once, not when the next one has joined: an executor that it starts from now on would find other code.
            self._retire(self._current, now)
            self._current = None
        self._check_adopted(now)
        if self._due(now):
            self._start()
        for running in self._leaving:
            if running.kill_at is not None and now >= running.kill_at:
                running.kill()
        self._write()
        return self._next_look(now)

    def _bury(self, now: float) -> None:
        self._leaving = [running for running in self._leaving if not running.over]
        ended = self._current
        if ended is None or not ended.over:
            return
        self._current = None
        if ended.joined or ended.adopted:
            self._died(ended, now)
        else:
            self._did_not_join(ended, now)

    def _did_not_join(self, running: Running, now: float) -> None:
        code = running.exit_code
        words = running.last_words() or f"it ended with {code}"
        final = not self._retry and code is not None and code >= 0
        if running.kept.spec == self._wanted:
            self._trouble = Trouble(words, final)
        if final:
            self._broken = running.kept.spec
            later = "it is tried again when the file changes"
        else:
            later = f"trying again in {self._delay(now):.1g} s"
        self._say(f"not plugged in: {self._title} ({later}):\n{_indented(words)}")

    def _died(self, running: Running, now: float) -> None:
        if now - running.since > STEADY_S:
            self._failures = 0
        how = _how(running.exit_code)
        self._say(f"the process of {self._title} ended ({how}); starting it again in {self._delay(now):.1g} s")

    def _delay(self, now: float) -> float:
        delay: float = min(MAX_DELAY_S, FIRST_DELAY_S * 2**self._failures)
        self._failures += 1
        self._resume_at = now + delay
        return delay

    def _see_joined(self) -> None:
        current = self._current
        if current is not None and not current.joined and self._has_joined(current.process.pid):
            current.joined = True
            self._trouble = None
            how = "joined again" if current.adopted else "plugged in"
            self._say(f"{how}: {self._title} (process {current.process.pid})")

    def _check_adopted(self, now: float) -> None:
        current = self._current
        if current is None or current.joined or not current.adopted or now - current.since < ADOPT_S:
            return
        self._say(f"{self._title}: process {current.process.pid} did not join again in {ADOPT_S:g} s; replacing it")
        current.kill()

    def _due(self, now: float) -> bool:
        wanted = self._wanted
        return wanted is not None and wanted != self._broken and self._current is None and now >= self._resume_at

    def _start(self) -> None:
        assert self._wanted is not None
        kept = Kept(launch=self._runtime.new_id("launch"), spec=self._wanted)
        self._write(kept)
        self._mentioned = False
        self._current = start(kept, self._log, self._runtime, self._wake.set)

    def _retire(self, running: Running, now: float) -> None:
        running.terminate(now + self._drain_s + KILL_AFTER_S)
        self._leaving.append(running)

    def _next_look(self, now: float) -> float | None:
        times = [running.kill_at for running in self._leaving if running.kill_at is not None]
        current = self._current
        if current is None and self._wanted is not None and self._wanted != self._broken:
            times.append(self._resume_at)
        if current is not None and not current.joined:
            late = current.since + (ADOPT_S if current.adopted else SLOW_S)
            if now < late:
                times.append(late)
            elif not self._mentioned and not current.adopted:
                self._mentioned = True
                self._say(f"{self._title} has not joined after {SLOW_S:g} s; its log is {self._log}")
        return max(0.01, min(times) - now) if times else None

    # -- what the server before left ---------------------------------------------------------------------------------

    def _adopt(self) -> None:
        now = self._runtime.now()
        for kept in self._record.read():
            process = kept.process()
            if process is None:
                continue
            running = Running(kept, process, runtime=self._runtime, changed=self._wake.set)
            if kept.leaving or self._current is not None:
                self._retire(running, now)
            else:
                self._current = running

    def _all(self) -> list[Running]:
        return [running for running in (self._current, *self._leaving) if running is not None]

    def _write(self, starting: Kept | None = None) -> None:
        kept = tuple(running.kept for running in self._all()) + ((starting,) if starting else ())
        if kept != self._written:
            self._written = kept
            self._record.write(kept)


def _how(code: int | None) -> str:
    if code is None:
        return "another server had started it"
    return f"exit code {code}" if code >= 0 else f"signal {-code}"


def _indented(text: str) -> str:
    """The first line, which names the place of an error, and the last ones."""
    lines = text.splitlines()
    shown = lines if len(lines) <= _SHOWN_LINES else [lines[0], "…", *lines[2 - _SHOWN_LINES :]]
    return "\n".join(f"  {line}" for line in shown)
