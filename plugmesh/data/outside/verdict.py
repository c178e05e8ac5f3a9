"""How a child ended that did not say so itself, in words. Pure."""

from __future__ import annotations

import signal
from dataclasses import dataclass

from plugmesh.data.outside.decoding import too_much_memory, unreadable
from plugmesh.data.outside.job import Job
from plugmesh.errors import DecoderEnded, FileUnreadable, PlugmeshError

_FROM_OUTSIDE = frozenset({signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT})
_OF_MEMORY = ("bad_alloc", "memory allocation", "out of memory", "cannot allocate", "memoryerror")
SAID_CHARS = 300


@dataclass(frozen=True, slots=True)
class Ending:
    """How a child ended: its exit code (negative: the signal), and what it had used. `said`: the end of its stderr."""

    status: int
    cpu_s: float
    peak_bytes: int
    said: str = ""


def verdict(job: Job, ending: Ending) -> PlugmeshError:
    """What to raise: about the file, unless somebody else ended the child."""
    number = -ending.status
    if any(word in ending.said.lower() for word in _OF_MEMORY):
        return FileUnreadable(too_much_memory(job, _last_line(ending.said)))
    if number == signal.SIGXCPU or (number == signal.SIGKILL and ending.cpu_s >= job.limits.cpu_s):
        return FileUnreadable(
            f"file: {job.name!r} was not decoded after {ending.cpu_s:,.0f} s of CPU time, and was given up: raise the step's "
            "limit if that is right (limits: {cpu_s: …}); else the file is made to keep machines busy"
        )
    if number in _FROM_OUTSIDE:
        return DecoderEnded(
            f"the process that decoded {job.name!r} was ended from outside ({signal.Signals(number).name}), by somebody or "
            "because the machine's memory was full: the step is tried again"
        )
    how = f"the decoder crashed ({_name(number)})" if number > 0 else f"the decoder ended with code {ending.status}"
    said = _last_line(ending.said)
    return FileUnreadable(unreadable(job.name, how + (f", saying {said!r}" if said else "")))


def _name(number: int) -> str:
    return signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"


def _last_line(said: str) -> str:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return lines[-1][:SAID_CHARS] if lines else ""
