"""The most memory that processes had while something ran: shared pages by their share (PSS), and anonymous ones apart.

Mapped data counts in PSS, but not as anonymous: the kernel can drop it whenever it likes. Looking costs the processes time,
so a round that is looked at is not timed.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from benchmarks.figures import Figure, figure

T = TypeVar("T")
_EVERY_S = 0.01


@dataclass(frozen=True, slots=True)
class Memory:
    """In bytes."""

    pss: int = 0
    anonymous: int = 0

    def most(self, other: Memory) -> Memory:
        """The greater of each."""
        return Memory(max(self.pss, other.pss), max(self.anonymous, other.anonymous))


def peaks_while(processes: Callable[[], Mapping[str, int]], work: Callable[[], T]) -> tuple[T, dict[str, Memory]]:
    """What `work` returns, and the peaks of the processes (names and ids, asked for again and again) meanwhile."""
    peaks: dict[str, Memory] = {}
    over = threading.Event()

    def look() -> None:
        while True:
            for name, pid in processes().items():
                peaks[name] = peaks.get(name, Memory()).most(of_process(pid))
            if over.wait(_EVERY_S):
                return

    watch = threading.Thread(target=look)
    watch.start()
    try:
        result = work()
    finally:
        over.set()
        watch.join()
    return result, peaks


def peaks_of(workload: str, variant: str, peaks: Mapping[str, Memory]) -> list[Figure]:
    """The figures of each process's peaks."""
    ordered = sorted(peaks.items())
    return [
        *[figure(workload, variant, f"pss-{name}", "MB", [peak.pss / 1e6]) for name, peak in ordered],
        *[figure(workload, variant, f"anonymous-{name}", "MB", [peak.anonymous / 1e6]) for name, peak in ordered],
    ]


def of_process(pid: int) -> Memory:
    """What it has now; nothing if it is gone."""
    with suppress(OSError):
        return parse(Path(f"/proc/{pid}/smaps_rollup").read_text())
    return Memory()


def parse(text: str) -> Memory:
    """From the lines of `smaps_rollup`, which are in KiB."""
    fields = {name: value for name, _, value in (line.partition(":") for line in text.splitlines())}
    pss, anonymous = (int(fields[name].split()[0]) * 1024 for name in ("Pss", "Pss_Anon"))
    return Memory(pss, anonymous)
