"""What is told of a run of chaos: a line of JSON, a row of a table, and, when something is wrong, the whole story. Pure."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from typing import Any

from tests.chaos.harness import Outcome, told
from tests.chaos.plan import Deed
from tests.chaos.recovery import Wait

_COLUMNS = {
    "seed": "seed",
    "kills": "kills",
    "stops": "stops",
    "drains": "drains",
    "disk": "full / slow disk",
    "runs": "runs",
    "attempts": "attempts lost / failed",
    "recovery": "lost step ran again after s: killed, quiet server / stopped, quiet server / longest of all",
    "minutes": "minutes",
    "violations": "violations",
}

_WAITS = ("recovery_quiet_kill", "recovery_quiet_stop", "recovery")


def document(outcome: Outcome) -> dict[str, Any]:
    """Everything that is counted, for a file of JSON lines. Times are seconds."""
    quiet = [wait for wait in outcome.waits if wait.quiet]
    return {
        "seed": outcome.options.seed,
        "kills": outcome.kills,
        "faults": outcome.faults,
        "small_disk": outcome.small_disk,
        "orders": outcome.options.runs,
        "runs": dict(sorted(outcome.states.items())),
        "requests": outcome.requests,
        "effects": outcome.effects,
        "attempts": dict(sorted(outcome.attempts.items())),
        "recovery": _summary(outcome.waits),
        "recovery_quiet_kill": _summary([wait for wait in quiet if wait.deed is Deed.KILL]),
        "recovery_quiet_stop": _summary([wait for wait in quiet if wait.deed is Deed.STOP]),
        "data_bytes": outcome.data_bytes,
        "quarantines_lifted": outcome.lifted,
        "starts": outcome.starts,
        "healed_s": round(outcome.healed_s, 1),
        "took_s": round(outcome.took_s, 1),
        "violations": outcome.violations,
    }


def _summary(waits: Sequence[Wait]) -> dict[str, Any]:
    """Seconds until lost steps ran again."""
    found = [wait.seconds for wait in waits if wait.seconds is not None]
    if not found:
        return {"steps": 0}
    median, longest = round(statistics.median(found), 2), round(max(found), 2)
    return {"steps": len(found), "median_s": median, "longest_s": longest}


def json_line(outcome: Outcome) -> str:
    """One line of JSON."""
    return json.dumps(document(outcome), ensure_ascii=False)


def table(documents: Sequence[dict[str, Any]]) -> str:
    """A Markdown table with a row for each run of chaos; several have a row with their sums."""
    rows = [_row(one) for one in documents]
    if len(rows) > 1:
        rows.append(_row(_sum(documents)))
    lines = [list(_COLUMNS.values()), ["---"] * len(_COLUMNS), *([row[name] for name in _COLUMNS] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def story(outcome: Outcome) -> str:
    """What is wrong, and everything that was done before."""
    lines = [
        f"seed {outcome.options.seed}: {len(outcome.violations)} violations; all that is left is in {outcome.kept}"
    ]
    lines += [f"  {violation}" for violation in outcome.violations[:50]]
    return "\n".join([*lines, "timeline:", *map(told, outcome.timeline)])


def _row(one: dict[str, Any]) -> dict[str, str]:
    faults, attempts = one["faults"], one["attempts"]
    return {
        "seed": str(one["seed"]),
        "kills": f"{one['kills']:,}",
        "stops": str(_of(faults, "stop")),
        "drains": str(_of(faults, "drain")),
        "disk": f"{_of(faults, 'fill')} / {_of(faults, 'slow')}",
        "runs": f"{sum(one['runs'].values()):,}",
        "attempts": f"{attempts.get('lost', 0):,} / {attempts.get('failed', 0):,}",
        "recovery": " / ".join(str(one[name].get("longest_s", "-")) for name in _WAITS),
        "minutes": f"{one['took_s'] / 60:.1f}",
        "violations": str(len(one["violations"])),
    }


def _of(faults: dict[str, int], deed: str) -> int:
    return sum(count for kind, count in faults.items() if kind.split()[0] == deed)


def _sum(documents: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Of several runs; the medians are left out, because they have no sum."""
    return {
        "seed": "all",
        "kills": sum(one["kills"] for one in documents),
        "faults": _added(documents, "faults"),
        "runs": _added(documents, "runs"),
        "attempts": _added(documents, "attempts"),
        **{name: _longest([one[name] for one in documents]) for name in _WAITS},
        "took_s": sum(one["took_s"] for one in documents),
        "violations": [violation for one in documents for violation in one["violations"]],
    }


def _longest(summaries: Sequence[dict[str, Any]]) -> dict[str, Any]:
    found = [one["longest_s"] for one in summaries if one["steps"]]
    return {"longest_s": max(found)} if found else {}


def _added(documents: Sequence[dict[str, Any]], name: str) -> dict[str, int]:
    added: dict[str, int] = {}
    for one in documents:
        for key, count in one[name].items():
            added[key] = added.get(key, 0) + count
    return added
