"""What the supervisor asks of an executor: real ones are processes, those of a simulation are objects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Exit:
    """How an executor ended: in words, with where its code was (the lines of a faulthandler), and its log.

    `killed`: by `Executor.kill`. `log`: a descriptor of the file, which whoever is told of the exit closes. `peak_bytes`:
    the most memory it had. `cpu_s`: what it used since it was given its last attempt. `out_of_memory`: its last words
    were of memory that it did not get. `asked`: by SIGTERM, from somebody else.
    """

    reason: str
    killed: bool = False
    trace: str = ""
    log: int | None = None
    peak_bytes: int = 0
    cpu_s: float = 0.0
    out_of_memory: bool = False
    asked: bool = False


class Listener(Protocol):
    """Who is told what an executor does. Calls come on the event loop, never from within a call of `Executor`."""

    def on_frame(self, executor: Executor, kind: int, number: int, payload: bytes) -> None:
        """A frame arrived: one of the kinds that executors send."""
        ...

    def on_exit(self, executor: Executor, exit: Exit) -> None:
        """It ended, for whatever reason, and so did all that it had started. Called exactly once, last."""
        ...


class Executor(Protocol):
    """Runs attempts: one at a time, or many when it is `shared` (modules that are `async def`)."""

    @property
    def shared(self) -> bool:
        """Whether it takes several attempts at a time."""
        ...

    @property
    def pid(self) -> int | None:
        """The process to watch; `None` where there is none."""
        ...

    @property
    def log(self) -> int | None:
        """A descriptor of the file that it logs to, if it has one."""
        ...

    def assign(self, number: int, payload: bytes) -> None:
        """Run the attempt in `payload` (an `Assign`, as it came); answers with `number`. May be called before `READY`."""
        ...

    def plan(self, number: int, payload: bytes) -> None:
        """Answer the question in `payload` (an `AskPlan`, as it came) with `number`. May be called before `READY`."""
        ...

    def cancel(self, number: int) -> None:
        """Ask the attempt to stop: an exception is raised in its code."""
        ...

    def dump(self) -> None:
        """Ask it to write into its log where each of its threads is; `Exit.trace` will have it."""
        ...

    def kill(self) -> None:
        """End the executor at once, with everything it started."""
        ...

    def retire(self) -> None:
        """End it in order; it has nothing to do."""
        ...


class Executors(Protocol):
    """Starts executors."""

    def start(self, listener: Listener, *, shared: bool) -> Executor:
        """A new one; returns at once, `READY` follows."""
        ...
