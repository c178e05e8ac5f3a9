"""Who holds which attempt, and until when. Pure: every time is the caller's monotonic clock, in seconds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from plugmesh.contracts.messages import ACCEPT_S, LEASE_S, Assign


@dataclass(slots=True)
class Held:
    """One attempt that is out. It must be accepted by `accept_by`, then renewed before `until`.

    `patient`: it is a sink that is not idempotent, so only its lease decides that it is lost. `alone`: its instance gets
    nothing else meanwhile. `taken_over`: another scheduler has sent it, and nobody knows here whether it was accepted.
    `held_back`: it cannot be sent yet, so nobody can accept it.
    """

    message: Assign
    patient: bool
    accept_by: float | None
    until: float | None = None
    assigned_at: float = 0.0
    alone: bool = False
    taken_over: bool = False
    held_back: bool = False

    @property
    def instance(self) -> str:
        """The instance that it was assigned to."""
        return self.message.instance


class Leases:
    """All attempts that are out. How busy an instance is, is the size of a set: a slot can never leak."""

    def __init__(self) -> None:
        self._held: dict[str, Held] = {}
        self._by_instance: dict[str, set[str]] = {}
        self._by_namespace: Counter[str] = Counter()
        self._alone: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self._held)

    def get(self, attempt: str) -> Held | None:
        """The attempt, if it is out."""
        return self._held.get(attempt)

    def load(self, instance: str) -> int:
        """How many attempts `instance` has."""
        return len(self._by_instance.get(instance, ()))

    def load_of_namespace(self, namespace: str) -> int:
        """How many attempts runs of `namespace` have out."""
        return self._by_namespace[namespace]

    @property
    def taken(self) -> Collection[str]:
        """Instances that have an attempt which is to be alone there."""
        return self._alone.values()

    def of_instance(self, instance: str) -> list[Held]:
        """Everything `instance` has."""
        return [self._held[attempt] for attempt in sorted(self._by_instance.get(instance, ()))]

    def of_runs(self, runs: Iterable[str]) -> list[str]:
        """Attempts of these runs."""
        wanted = set(runs)
        return [attempt for attempt, held in self._held.items() if held.message.run in wanted]

    def of_versions(self, versions: Collection[tuple[str, str]]) -> list[Held]:
        """Attempts of these modules and versions."""
        return [held for held in self._held.values() if (held.message.module, held.message.version) in versions]

    def assign(
        self, message: Assign, now: float, *, patient: bool, alone: bool = False, taken_over: bool = False
    ) -> None:
        """An attempt is sent out. One that was taken over has a whole lease to be heard of."""
        attempt = message.attempt
        accept_by = now + (LEASE_S if taken_over else ACCEPT_S)
        self._held[attempt] = Held(message, patient, accept_by, assigned_at=now, alone=alone, taken_over=taken_over)
        self._by_instance.setdefault(message.instance, set()).add(attempt)
        self._by_namespace[message.namespace] += 1
        if alone:
            self._alone[attempt] = message.instance

    def accept(self, attempt: str, now: float) -> bool:
        """The instance has it; the lease begins. False if it is not out."""
        held = self._held.get(attempt)
        if held is None:
            return False
        held.accept_by, held.held_back = None, False
        held.until = now + LEASE_S
        return True

    def renew(self, instance: str, attempt: str, now: float) -> bool:
        """The instance still has it. False if it is not (or no longer) this instance's."""
        held = self._held.get(attempt)
        return held is not None and held.instance == instance and self.accept(attempt, now)

    def end(self, attempt: str) -> None:
        """The attempt is over, however it ended."""
        held = self._held.pop(attempt, None)
        if held is None:
            return
        self._by_namespace[held.message.namespace] -= 1
        self._alone.pop(attempt, None)
        attempts = self._by_instance[held.instance]
        attempts.discard(attempt)
        if not attempts:
            del self._by_instance[held.instance]

    def unaccepted(self) -> list[Held]:
        """What was sent and not accepted yet."""
        return [held for held in self._held.values() if held.accept_by is not None]

    def hold_back(self, attempt: str) -> None:
        """It cannot be sent yet: until `send` it has all the time in the world."""
        held = self._held.get(attempt)
        if held is not None:
            held.held_back = True

    def send(self, attempt: str, now: float) -> bool:
        """What was held back is sent now. False if it is not out any more, or was accepted: then nobody waits for it."""
        held = self._held.get(attempt)
        if held is None or held.accept_by is None:
            return False
        held.held_back, held.accept_by = False, max(held.accept_by, now + ACCEPT_S)
        return True

    def overdue(self, now: float) -> Mapping[str, str]:
        """Attempts to give up, with the reason."""
        reasons: dict[str, str] = {}
        for attempt, held in self._held.items():
            if held.held_back:
                continue
            if held.accept_by is not None and held.accept_by <= now:
                reasons[attempt] = _silent(held)
            elif held.until is not None and held.until <= now:
                reasons[attempt] = f"its lease ended: instance {held.instance} was not heard of for {LEASE_S:.0f} s"
        return reasons

    def oldest(self) -> float | None:
        """When the attempt that has been out the longest was sent."""
        return min((held.assigned_at for held in self._held.values()), default=None)

    def stand_still(self, seconds: float) -> None:
        """The judge could not read or send anything for so long: all clocks stood still meanwhile."""
        for held in self._held.values():
            if held.accept_by is not None:
                held.accept_by += seconds
            if held.until is not None:
                held.until += seconds

    def grace(self, now: float) -> None:
        """The judge itself was away: everyone gets a whole lease from now."""
        for held in self._held.values():
            if held.accept_by is not None:
                held.accept_by = max(held.accept_by, now + ACCEPT_S)
            if held.until is not None:
                held.until = max(held.until, now + LEASE_S)


def _silent(held: Held) -> str:
    if held.taken_over:
        return f"instance {held.instance} was not heard of for {LEASE_S:.0f} s since a scheduler took the run over"
    return f"instance {held.instance} did not accept it in time"
