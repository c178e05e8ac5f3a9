"""How long a supervisor waits for what; every time is in seconds."""

from __future__ import annotations

from dataclasses import dataclass

from module_sdk.launch import DRAIN_S
from plugmesh.contracts.messages import LEASE_S, RENEW_S


@dataclass(frozen=True, slots=True)
class Settings:
    """`settle_s`: an attempt that ended by then was never reported as accepted or started, its result says both.
    `prepare_s`: an attempt with a timeout may need that much more until its module's file is imported.
    `look_s`: between looks at attempts that take longer, for their progress and log; `progress_s`: between two messages
    about progress. `dump_s`: an executor that is to be killed has so long to say where its code is.
    `idle_s`: executors without work end after it. `orphan_exit_s`: the process ends when its link has been down
    that long and it holds nothing (`None`: it waits for ever). `drain_s`: what has started has so long to finish when the
    process is to end. `farewell_s`: schedulers have so long to say that they have heard of that, and results of what was
    ended to be acknowledged."""

    beat_s: float = 2.0
    renew_s: float = RENEW_S
    lease_s: float = LEASE_S
    settle_s: float = 0.01
    limits_s: float = 0.05
    look_s: float = 0.5
    progress_s: float = 1.0
    dump_s: float = 0.2
    shared_grace_s: float = 2.0
    prepare_s: float = 60.0
    idle_s: float = 60.0
    drain_s: float = DRAIN_S
    farewell_s: float = 2.0
    orphan_exit_s: float | None = None
