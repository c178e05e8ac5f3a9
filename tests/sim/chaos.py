"""What goes wrong in a simulation, and when: drawn from the seed."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from tests.sim.network import Weather

SERVER, INSTANCE = "server", "instance"
BUSIEST = -1
"""The victim is whichever process of its kind has most to do just then."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault at a virtual time. `seconds` is how long it lasts. For those that end in `-step` it is a number of steps:
    the process dies at an await, when its loop is to take that many more steps."""

    at: float
    kind: str
    victim: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Trap:
    """At the `nth` time that a process of this kind reaches this point it dies, or (`fails`) the database does; then what
    it was writing stays locked for `locked_s`."""

    kind: str
    point: str
    nth: int
    fails: bool = False
    locked_s: float = 0.0


@dataclass(slots=True)
class Plan:
    """Everything that is to go wrong. Chances are per point, message or answer.

    Points are counted, for traps, from `armed_at` on. At `until` everything is healed.
    """

    faults: list[Fault] = field(default_factory=list)
    traps: list[Trap] = field(default_factory=list)
    armed_at: float = 0.0
    weather: Weather = field(default_factory=Weather)
    crash: dict[str, float] = field(default_factory=dict)
    sql_error: float = 0.0
    executor_dies: float = 0.0
    answer_lost: float = 0.0
    until: float = 40.0


KINDS = (
    "server-crash",
    "server-stall",
    "server-restart",
    "server-step",
    "servers-crash",
    "instance-crash",
    "instance-vanish",
    "instance-stall",
    "instance-drain",
    "instance-step",
    "link-cut",
    "link-freeze",
    "link-mute",
    "link-deaf",
    "apart",
    "apart-mute",
    "apart-deaf",
    "results-late",
    "server-freeze",
    "clock-set",
    "store-full",
    "sql-locked",
)
"""`apart`: one instance and one server do not reach each other; `-mute`, `-deaf`: only what the instance sends, or is sent,
is lost. `sql-locked`: somebody's transaction holds the lock."""
_LASTS = {
    "results-late": 12.0,
    "server-freeze": 25.0,
    "store-full": 6.0,
    "server-stall": 30.0,
    "instance-stall": 40.0,
    "link-cut": 6.0,
    "link-freeze": 30.0,
    "link-mute": 30.0,
    "link-deaf": 30.0,
    "apart": 30.0,
    "apart-mute": 30.0,
    "apart-deaf": 30.0,
    "sql-locked": 20.0,
}
_MOST_STEPS = 4_000


_SILENT = (
    "link-freeze",
    "link-mute",
    "link-deaf",
    "apart",
    "instance-stall",
    "instance-vanish",
    "server-stall",
    "server-stall",
)
"""Nobody closes a connection: only leases can tell."""
_AROUND = ((8.0, 12.0), (13.0, 17.0), (14.0, 24.0))
"""Seconds around the lease of a shard (10 s), around that of an attempt (15 s), and longer."""


def plan_of(dice: random.Random, *, silent: bool = False) -> Plan:
    """A plan. Most seeds have a few kinds of faults, so that each kind is also met alone; some have them all.

    `silent`: silences about as long as a lease, so that late results meet the attempts that replaced theirs.
    """
    if silent:
        kinds = dice.sample(_SILENT, 2)
        faults = [
            _fault(dice, dice.choice(kinds), dice.uniform(*dice.choice(_AROUND))) for _ in range(dice.randint(3, 7))
        ]
    else:
        kinds = dice.sample(KINDS, dice.choice((1, 1, 2, 3, len(KINDS))))
        faults = [_fault(dice, dice.choice(kinds)) for _ in range(dice.randint(2, 12))]
    bad = dice.random()
    weather = Weather(
        drop=dice.choice((0.0, 0.02, 0.2)) * bad,
        repeat=dice.choice((0.0, 0.02, 0.3)) * bad,
        again=dice.choice((0.0, 0.02, 0.2)) * bad,
        slow=dice.choice((0.0, 0.02, 0.1)) * bad,
        slow_s=dice.choice((0.1, 1.0, 5.0)),
    )
    return Plan(
        faults=sorted(faults, key=lambda fault: fault.at),
        weather=weather,
        crash={
            SERVER: dice.choice((0.0, 0.0, 0.003, 0.01)),
            INSTANCE: dice.choice((0.0, 0.0, 0.003, 0.01)),
        },
        sql_error=dice.choice((0.0, 0.0, 0.01, 0.05)),
        executor_dies=dice.choice((0.0, 0.0, 0.1)),
        answer_lost=dice.choice((0.0, 0.1)),
    )


def _fault(dice: random.Random, kind: str, seconds: float | None = None) -> Fault:
    if kind.endswith("-step"):
        seconds = float(int(_MOST_STEPS ** dice.random()))
    elif seconds is None:
        seconds = dice.uniform(0.3, 1.0) * _LASTS.get(kind, 15.0) * dice.choice((0.02, 0.3, 1.0))
    return Fault(dice.uniform(0.5, 22.0), kind, dice.choice((0, 1, 2, BUSIEST, BUSIEST, BUSIEST)), seconds)
