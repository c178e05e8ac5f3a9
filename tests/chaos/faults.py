"""Carries out a plan on the processes and the disk of a mesh, and notes down what was done to whom."""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from plugmesh.cli.server.process import ProcessId
from tests.chaos.plan import Deed, Event, Fault, Role
from tests.e2e.tmpfs import SmallDisk

_SIGNALS = {Deed.KILL: signal.SIGKILL, Deed.STOP: signal.SIGSTOP, Deed.DRAIN: signal.SIGTERM}


class Victims(Protocol):
    """A mesh whose processes and disk can be hurt."""

    slow_disk: Path

    def living(self, role: Role) -> Sequence[ProcessId]:
        """The processes of a role that are there now, always in the same order."""
        ...

    def hit(self, role: Role, victim: ProcessId, number: signal.Signals) -> None:
        """Send a signal."""
        ...


@dataclass(slots=True)
class _Standing:
    """A fault that lasts until `until` seconds after the start."""

    until: float
    fault: Fault
    processes: list[ProcessId]


@dataclass(slots=True)
class Hands:
    """Whoever hurts the mesh. `disk` is `None` where no small disk could be mounted."""

    mesh: Victims
    disk: SmallDisk | None
    plan: list[Fault]
    timeline: list[Event] = field(default_factory=list)
    done: Counter[str] = field(default_factory=Counter)
    kills: int = 0
    _standing: list[_Standing] = field(default_factory=list)

    def tick(self, now_s: float) -> None:
        """Do what is due `now_s` seconds after the start. A fault whose victims are not there just now waits for them."""
        for standing in [one for one in self._standing if one.until <= now_s]:
            self._end(standing, now_s)
        due = [fault for fault in self.plan if fault.at_s <= now_s]
        for fault in due:
            if self._begin(fault, now_s):
                self.plan.remove(fault)
                self.done[fault.kind] += 1

    def heal(self, now_s: float) -> None:
        """End all that lasts."""
        for standing in list(self._standing):
            self._end(standing, now_s)

    # -- begin ---------------------------------------------------------------------------------------------------------

    def _begin(self, fault: Fault, now_s: float) -> bool:
        if fault.deed is Deed.SLOW:
            return self._slow(fault, now_s)
        if fault.deed is Deed.FILL:
            return self._fill(fault, now_s)
        victims = self._victims(fault)
        if victims is None:
            return False
        for role, victim in zip(fault.victims, victims, strict=True):
            self.mesh.hit(role, victim, _SIGNALS[fault.deed])
        self.kills += fault.kills
        self._note(now_s, fault, f" for {fault.lasts_s:.1f} s" if fault.lasts_s else "", victims)
        if fault.deed is Deed.STOP:
            self._standing.append(_Standing(now_s + fault.lasts_s, fault, victims))
        return True

    def _victims(self, fault: Fault) -> list[ProcessId] | None:
        found: list[ProcessId] = []
        for role in fault.victims:
            there = [process for process in self.mesh.living(role) if process not in found]
            if not there:
                return None
            found.append(there[fault.pick % len(there)])
        return found

    def _slow(self, fault: Fault, now_s: float) -> bool:
        if any(one.fault.deed is Deed.SLOW for one in self._standing):
            return False
        _write_at_once(self.mesh.slow_disk, str(fault.amount))
        self._standing.append(_Standing(now_s + fault.lasts_s, fault, []))
        self._note(now_s, fault, f", {fault.amount:g} s a write, for {fault.lasts_s:.1f} s")
        return True

    def _fill(self, fault: Fault, now_s: float) -> bool:
        if self.disk is None or any(one.fault.deed is Deed.FILL for one in self._standing):
            return False
        self.disk.fill(int(fault.amount))
        self._standing.append(_Standing(now_s + fault.lasts_s, fault, []))
        self._note(now_s, fault, f" but for {int(fault.amount)} bytes, for {fault.lasts_s:.1f} s")
        return True

    # -- end -----------------------------------------------------------------------------------------------------------

    def _end(self, standing: _Standing, now_s: float) -> None:
        self._standing.remove(standing)
        match standing.fault.deed:
            case Deed.SLOW:
                self.mesh.slow_disk.unlink()
            case Deed.FILL if self.disk is not None:
                self.disk.make_room()
            case _:
                for role, process in zip(standing.fault.victims, standing.processes, strict=True):
                    self.mesh.hit(role, process, signal.SIGCONT)
        fault, pids = standing.fault, tuple(process.pid for process in standing.processes)
        text = f"over: {fault.kind}"
        self.timeline.append(Event(now_s, time.time(), text, fault.deed, fault.victims, pids, over=True))

    def _note(self, now_s: float, fault: Fault, more: str, victims: list[ProcessId] | None = None) -> None:
        pids = tuple(victim.pid for victim in victims or ())
        self.timeline.append(Event(now_s, time.time(), f"{fault.kind}{more}", fault.deed, fault.victims, pids))


def _write_at_once(path: Path, text: str) -> None:
    draft = path.with_name(path.name + ".new")
    draft.write_text(text)
    draft.replace(path)
