"""`python -m tests.chaos.mutants [NAME...]`: each broken rule of tests/mutants on real servers, and whether it is noticed.

Without names all of them, and first the whole code, with which nothing may be noticed.
"""

from __future__ import annotations

import re
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.real_mesh import NotReady, new_servers
from scripts.real_servers.own_server import OwnServer
from tests.broken_code import break_code, copy_code
from tests.chaos import stories
from tests.chaos.day import Day, day

Story = Callable[[Day], list[str]]


@dataclass(frozen=True, slots=True)
class Setting:
    """The mesh of a story: `hub` is one whose bus and discovery are in the gateway. `sign`: a pattern of what is found where
    the rule is broken, and not where everything only takes too long."""

    story: Story
    sign: str
    schedulers: int = 1
    workers: int = 1
    hub: bool = False

    def signs(self, found: Sequence[str]) -> list[str]:
        """What of it shows that this rule is broken."""
        return [one for one in found if re.search(self.sign, one)]


STALLED = "it did not go on: "
_LATE = Setting(stories.late_results, "^a late result of attempt 1 became|^(accepted|visible): ")
MUTANTS: Mapping[str, Setting] = {
    "no-lease-expiry": Setting(stories.vanished, "^the lease of an instance that was stopped did not end"),
    "attempt-epoch-ignored": _LATE,
    "stale-results-accepted": _LATE,
    "shard-term-not-checked": Setting(
        stories.stopped_owner, "^a scheduler wrote for shards|^(accepted|replay|transitions): ", schedulers=2
    ),
    "effects-before-commit": Setting(stories.effects_first, "^a step began that nobody had written down"),
    "offset-before-work": Setting(stories.heard_first, "^a result was marked as heard before"),
    "result-lost-with-hub": Setting(
        stories.hub_gone,
        # a result that is lost may be waited for without end: here that is the broken rule itself
        rf"^the step was done [2-9] times|^{STALLED}\S+ does not end",
        hub=True,
    ),
    "attempt-in-sink-key": Setting(stories.sink, "^the effect was applied [2-9] times"),
    "retry-without-backoff": Setting(stories.backoff, "^retries: "),
    "accepted-after-cancel": Setting(stories.cancelled, "^a result was accepted after the cancel|^cancelled: "),
    "memory-kept-after-failed-commit": Setting(stories.failed_commits, "^transitions: "),
}


def noticed(servers: Mapping[str, OwnServer], folder: Path, setting: Setting, code: Path | None) -> list[str]:
    """What the story saw on a new mesh, and what the invariants say of what it left."""
    with day(servers, folder, code, schedulers=setting.schedulers, workers=setting.workers, hub=setting.hub) as running:
        try:
            seen = setting.story(running)
        except NotReady as error:
            seen = [f"{STALLED}{str(error).splitlines()[0]}"]
        return [*seen, *running.violations()]


def broken(folder: Path, name: str) -> Path:
    """A copy of the code, broken by this mutant."""
    folder.mkdir(parents=True)
    copy_code(folder)
    break_code(folder, name)
    return folder


def main(names: Sequence[str]) -> int:
    """Exit with 0 when every mutant was noticed, and nothing else."""
    missed = 0
    with tempfile.TemporaryDirectory(prefix="plugmesh-mutants-") as temporary:
        folder = Path(temporary)
        with new_servers(folder) as servers:
            for setting in {} if names else dict.fromkeys(MUTANTS.values()):
                found, took = _timed(servers, folder / f"whole-{setting.story.__name__}", setting, None)
                print(f"whole code, {setting.story.__name__}, {took:.0f} s: {found or 'nothing'}", flush=True)
                missed += bool(found)
            for name in names or MUTANTS:
                code = broken(folder / f"code-{name}", name)
                found, took = _timed(servers, folder / name, MUTANTS[name], code)
                signs = MUTANTS[name].signs(found)
                said = signs[0] if signs else f"NOT NOTICED, but {found or 'nothing'}"
                print(f"{name}, {took:.0f} s: {said}", flush=True)
                missed += not signs
    return 1 if missed else 0


def _timed(
    servers: Mapping[str, OwnServer], folder: Path, setting: Setting, code: Path | None
) -> tuple[list[str], float]:
    begun = time.monotonic()
    return noticed(servers, folder, setting, code), time.monotonic() - begun


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))  # what was started is ended then too
    sys.exit(main(sys.argv[1:]))
