"""Runs and steps in words and tables."""

from __future__ import annotations

from typing import Any

from rich.text import Text

from plugmesh.cli.display.amounts import clock, rows_text, seconds_text
from plugmesh.cli.display.console import PlainTable, table
from plugmesh.cli.display.terminal_text import brief, one_line

ENDED = {"succeeded", "failed", "cancelled", "timed_out"}
STYLES = {
    "succeeded": "green",
    "cached": "green",
    "recovered": "green",
    "failed": "red",
    "timed_out": "red",
    "cancelled": "yellow",
    "parked": "magenta",
    "waiting": "magenta",
    "queued": "magenta",
    "paused": "magenta",
    "running": "cyan",
    "assigned": "cyan",
}


_REASONS = {
    "upstream_failed": "a step before it failed",
    "condition": "its condition was not met",
    "not_asked": "nobody asked for it",
}


def duration(start: float | None, end: float | None) -> str:
    """How long something took."""
    return "" if start is None or end is None else seconds_text(end - start)


def state_text(state: str) -> Text:
    """A state in its colour."""
    return Text(one_line(state), style=STYLES.get(state, ""))


def result(step: dict[str, Any]) -> str:
    """What a step came to, briefly: rows, or why it is where it is."""
    if step.get("error"):
        return brief(error_line(step["error"]))
    outputs = step.get("outputs") or {}
    if outputs:
        return brief(", ".join(output_text(name, output) for name, output in outputs.items()))
    return reason_text(step.get("reason"))


def reason_text(reason: str | None) -> str:
    """Why a step is where it is, in words."""
    return _REASONS.get(reason or "", brief(reason or ""))


def output_text(name: str, output: dict[str, Any]) -> str:
    """An output in a few words."""
    label = "" if name == "out" else f"{name}: "
    if output.get("rows") is not None:
        return f"{label}{rows_text(output['rows'])}"
    if "value" in output:
        return f"{label}{output['value']!r}"
    if output.get("bytes") is not None:
        return f"{label}{output.get('name', 'file')}, {output['bytes']:,} bytes"
    return f"{label}{output.get('kind', '')}"


def error_line(error: dict[str, Any]) -> str:
    """An error in one line, with its place in the author's file."""
    where = f" (at {error['where']})" if error.get("where") else ""
    return f"{error['type']}: {error['message']}{where}"


def steps_table(steps: list[dict[str, Any]]) -> PlainTable:
    """One line a step."""
    made = table("STEP", "STATE", "TIME", "RESULT", right=("TIME",), whole=("STATE",))
    for step in steps:
        tries = f" ({tries_text(step)})" if step.get("epoch", 0) > 1 else ""
        made.add_row(
            Text(one_line(step["id"])),
            state_text(step["state"]),
            Text(duration(step.get("started_at") or step.get("ready_at"), step.get("ended_at"))),
            Text(result(step) + tries),
        )
    return made


def tries_text(step: dict[str, Any]) -> str:
    """Which attempt a step is at, and what became of the others: `attempt 3, 1 lost, 1 failed`."""
    counts = ((step.get("losses") or 0, "lost"), (step.get("failures") or 0, "failed"))
    return ", ".join([f"attempt {step.get('epoch', 0)}", *(f"{count} {word}" for count, word in counts if count)])


def attempt_line(step: str, attempt: dict[str, Any]) -> str:
    """An attempt that did not become the step's result, and why."""
    where = f" on {attempt['instance']}" if attempt.get("instance") else ""
    why = error_line(attempt["error"]) if attempt.get("error") else attempt.get("reason") or ""
    return brief(f"{step} attempt {attempt['epoch']} {attempt['state']}{where}{f': {why}' if why else ''}")


def run_line(run: dict[str, Any], *, reason: bool = True, now: float | None = None) -> str:
    """How a run stands, in one line; its reason is whole, for nothing else shows all of it."""
    ended = run.get("ended_at")
    took = duration(run.get("started_at") or run.get("submitted_at"), now if ended is None else ended)
    word = "for" if ended is None else "after"
    why = f": {run['reason']}" if reason and run.get("reason") else ""
    return one_line(f"{run['id']} {run['state']}{f' {word} {took}' if took else ''}{why}")


def failed_steps(run: dict[str, Any]) -> list[str]:
    """The steps whose errors made a run fail; none if it ended for another reason."""
    return [step["id"] for step in run["steps"] if run["state"] == step["state"] == "failed"]


def waiting_lines(run: dict[str, Any]) -> list[str]:
    """What an open run waits for, and until when; not what only lasts a moment if all is well."""
    return [wait_line(run, one) for one in lasting_waits(run)]


def lasting_waits(run: dict[str, Any]) -> list[dict[str, Any]]:
    """What an open run waits for, without what only lasts a moment if all is well."""
    return [one for one in run.get("waits_for") or () if _lasts(run, one)]


def wait_line(run: dict[str, Any], one: dict[str, Any]) -> str:
    """One thing that a run waits for, or some of its steps."""
    what = one_line(one["step"] or run["id"])
    verb = f"and {one['steps'] - 1:,} more are" if one["steps"] > 1 else "is"
    return f"{what} {verb} {one_line(one['state'])}: {brief(one['reason'])}{until_text(one['until'])}"


def until_text(until: float | None) -> str:
    """The end of a wait, if it has one, to be put behind it."""
    return f" (until {clock(until)})" if until is not None else ""


def _lasts(run: dict[str, Any], one: dict[str, Any]) -> bool:
    if one["step"] is None:
        return one["state"] in {"queued", "paused"} and bool(run.get("reason"))
    return one["state"] in {"parked", "waiting"}
