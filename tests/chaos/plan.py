"""What goes wrong in a run of chaos, and when: drawn from the seed, before anything is started. Pure."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """What kind of process is hit. The supervisor of the built-in modules is one of the supervisors.

    On one machine there is a server; on real servers there are gateways and schedulers, and Kafka, PostgreSQL, Consul and MinIO.
    """

    SERVER = "server"
    SUPERVISOR = "supervisor"
    EXECUTOR = "executor"
    GATEWAY = "gateway"
    SCHEDULER = "scheduler"
    BROKER = "broker"
    DATABASE = "database"
    REGISTRY = "registry"
    STORE = "store"


LOUD = frozenset(Role) - {Role.SUPERVISOR, Role.EXECUTOR}
"""While nothing happens to these, what happens to modules alone decides how long a step waits."""


class Deed(StrEnum):
    """What is done: `kill -9`; SIGSTOP, and SIGCONT later; SIGTERM; a disk without room; a disk that is slow."""

    KILL = "kill"
    STOP = "stop"
    DRAIN = "drain"
    FILL = "fill"
    SLOW = "slow"


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault, `at_s` seconds after the start. Its victims are hit in this order, in the same instant.

    `pick` chooses among the processes of a role that are there then. `lasts_s` is how long a stop or a bad disk lasts;
    `amount` is how long one write takes on a slow disk, in seconds, or how much room a full one has, in bytes.
    """

    at_s: float
    deed: Deed
    victims: tuple[Role, ...] = ()
    pick: int = 0
    lasts_s: float = 0.0
    amount: float = 0.0

    @property
    def kind(self) -> str:
        """What it is called in reports."""
        return " ".join((self.deed, "+".join(self.victims) or "disk"))

    @property
    def kills(self) -> int:
        """How many processes it kills."""
        return len(self.victims) if self.deed is Deed.KILL else 0


@dataclass(frozen=True, slots=True)
class Event:
    """Something that was done: seconds since the start, Unix time, and the processes that it hit. `over`: it ended."""

    at_s: float
    wall: float
    text: str
    deed: Deed
    roles: tuple[Role, ...] = ()
    pids: tuple[int, ...] = ()
    over: bool = False


KILLS: dict[tuple[Role, ...], int] = {
    (Role.SERVER,): 4,
    (Role.SUPERVISOR,): 5,
    (Role.EXECUTOR,): 5,
    (Role.SUPERVISOR, Role.SERVER): 3,
    (Role.SUPERVISOR, Role.SUPERVISOR): 2,
    (Role.EXECUTOR, Role.SERVER): 1,
    (Role.EXECUTOR, Role.EXECUTOR): 1,
    (Role.SERVER, Role.SUPERVISOR): 1,
}
"""Who is killed together, and how often in relation to the others."""
DISTRIBUTED_KILLS: dict[tuple[Role, ...], int] = {
    (Role.SCHEDULER,): 4,
    (Role.GATEWAY,): 3,
    (Role.SUPERVISOR,): 4,
    (Role.EXECUTOR,): 4,
    (Role.BROKER,): 1,
    (Role.DATABASE,): 1,
    (Role.REGISTRY,): 1,
    (Role.STORE,): 1,
    (Role.SUPERVISOR, Role.SCHEDULER): 2,
    (Role.SCHEDULER, Role.SCHEDULER): 1,
    (Role.GATEWAY, Role.SCHEDULER): 1,
    (Role.SCHEDULER, Role.BROKER): 1,
    (Role.SCHEDULER, Role.DATABASE): 1,
}
"""The same on real servers."""
LEASE_S = 15.0
"""Of an attempt, as it is by default."""
LONGEST_S = 22.0
_STOPPED = (Role.SERVER, Role.SUPERVISOR, Role.SUPERVISOR, Role.EXECUTOR)
_STOPPED_APART = (
    Role.SCHEDULER, Role.SCHEDULER, Role.GATEWAY, Role.SUPERVISOR, Role.SUPERVISOR, Role.EXECUTOR,
    Role.BROKER, Role.DATABASE, Role.REGISTRY, Role.STORE,
)  # fmt: skip
_DRAINED = (Role.SERVER, Role.SUPERVISOR, Role.SUPERVISOR)
_DRAINED_APART = (Role.SCHEDULER, Role.GATEWAY, Role.SUPERVISOR, Role.SUPERVISOR)
MIB = 2**20


def draw(seed: int, kills: int, seconds: float, *, small_disk: bool, distributed: bool = False) -> tuple[Fault, ...]:
    """All faults of a run of chaos, in their order. `small_disk`: there is a disk that may be filled."""
    dice = random.Random(f"{seed} faults")
    hits = _kills(dice, kills, seconds, DISTRIBUTED_KILLS if distributed else KILLS)
    stopped, drained = (_STOPPED_APART, _DRAINED_APART) if distributed else (_STOPPED, _DRAINED)
    others = [_stop(dice, _when(dice, seconds), stopped) for _ in range(max(2, kills // 5))]
    others += [_drain(dice, _when(dice, seconds), drained) for _ in range(max(2, kills // 10))]
    others += [_slow(dice, _when(dice, seconds)) for _ in range(1 + kills // 40)]
    if small_disk:
        others += [_full(dice, _when(dice, seconds)) for _ in range(1 + kills // 40)]
    return tuple(sorted([*hits, *others], key=lambda fault: fault.at_s))


def counts(faults: tuple[Fault, ...]) -> dict[str, int]:
    """How often each kind of fault is met, by its name."""
    return dict(sorted(Counter(fault.kind for fault in faults).items()))


def _kills(dice: random.Random, kills: int, seconds: float, among: Mapping[tuple[Role, ...], int]) -> list[Fault]:
    """Spread over the time, not all at random: a pause of minutes would test nothing."""
    groups: list[tuple[Role, ...]] = []
    while (left := kills - sum(map(len, groups))) > 0:
        fitting = {group: weight for group, weight in among.items() if len(group) <= left}
        groups += dice.choices(list(fitting), weights=list(fitting.values()))
    step = seconds / max(1, len(groups))
    return [
        Fault((number + dice.random()) * step, Deed.KILL, group, dice.randrange(1000))
        for number, group in enumerate(groups)
    ]


def _when(dice: random.Random, seconds: float) -> float:
    return dice.uniform(0.0, 0.9) * seconds


def _stop(dice: random.Random, at_s: float, among: Sequence[Role]) -> Fault:
    """Half of them are shorter than any patience, a third are longer than a lease."""
    victim = dice.choice(among)
    lasts_s = dice.choice((dice.uniform(0.1, 3.0), dice.uniform(0.1, 9.0), dice.uniform(LEASE_S + 1, LONGEST_S)))
    return Fault(at_s, Deed.STOP, (victim,), dice.randrange(1000), lasts_s)


def _drain(dice: random.Random, at_s: float, among: Sequence[Role]) -> Fault:
    victim = dice.choice(among)
    return Fault(at_s, Deed.DRAIN, (victim,), dice.randrange(1000))


def _slow(dice: random.Random, at_s: float) -> Fault:
    return Fault(at_s, Deed.SLOW, lasts_s=dice.uniform(2.0, 8.0), amount=dice.choice((0.005, 0.05, 0.3)))


def _full(dice: random.Random, at_s: float) -> Fault:
    """Either nobody has room, or only the database has: the store leaves it some."""
    return Fault(at_s, Deed.FILL, lasts_s=dice.uniform(1.0, 6.0), amount=dice.choice((0, 0, 8 * MIB)))
