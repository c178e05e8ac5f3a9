"""A run as people look at it: a header, how many steps are where, a line a step, and what needs to be known of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from plugmesh.cli.display.amounts import bar, bytes_text, clock, number_text, percent, seconds_text
from plugmesh.cli.display.console import PlainTable, table
from plugmesh.cli.display.steps import (
    duration,
    error_line,
    result,
    run_line,
    state_text,
    tries_text,
    until_text,
    wait_line,
)
from plugmesh.cli.display.terminal_text import brief, one_line

STEPS_SHOWN = 40
NOTES_SHOWN = 40
_COLUMNS = ("STEP", "STATE", "ROWS", "READ", "WRITTEN", "PASSED", "FAILED", "TIME", "CPU", "MEMORY", "ATTEMPT")
_SPARE = ("ATTEMPT", "PASSED", "FAILED", "MEMORY", "CPU", "WRITTEN", "READ", "ROWS", "TIME")
"""What a narrow terminal has no room for, in this order."""
_BAR_WIDTH = 20
_RERUNS_SHOWN = 3
_AT_WORK = {"assigned", "running"}
_GOOD = {"succeeded", "cached", "recovered"}
_ORDER = ("running", "assigned", "ready", "waiting", "parked", "pending", "failed", "cancelled", "skipped", "succeeded")

Step = Mapping[str, Any]


def run_view(run: Mapping[str, Any], steps: Sequence[Step], *, now: float, every_step: bool = False) -> RenderableType:
    """All of it; `now` is the time now, for a run that is still open."""
    shown = list(steps) if every_step or len(steps) <= STEPS_SHOWN else [s for s in steps if s["state"] not in _GOOD]
    left = 0 if every_step else max(0, len(shown) - STEPS_SHOWN)
    shown = shown[: len(shown) - left]
    parts: list[RenderableType] = [header(run, now), Text(counts_line(steps)), Text()]
    if len(steps) > len(shown) and not every_step:
        parts += [_nodes_table(run, steps), Text()]
    if shown:
        parts.append(_steps_table(shown))
    if left:
        parts.append(Text(f"… and {left:,} more: plugmesh show {one_line(run['id'])} --steps", style="dim"))
    notes = _notes(run, shown)
    return Group(*parts, *([Text(), *notes] if notes else []))


def header(run: Mapping[str, Any], now: float | None = None) -> RenderableType:
    """What is known of the run itself."""
    revision = f"@{run['flow_revision']}" if run.get("flow_revision") else ""
    words = [f"flow {run['namespace']}/{run['flow']}{revision}", f"submitted {clock(run['submitted_at'])}"]
    words += [f"by {run['actor']}"] if run.get("actor") not in {None, "local"} else []
    queued = duration(run.get("submitted_at"), run.get("started_at"))
    words += [f"queued for {queued}"] if queued and run["started_at"] - run["submitted_at"] >= 1 else []
    words += [f"priority {run['priority']}"] if run.get("priority") else []
    words += [f"timeout {seconds_text(run['timeout_s'])}"] if run.get("timeout_s") is not None else []
    words += [f"deadline {clock(run['deadline'])}"] if run.get("deadline") is not None else []
    lines = [Text(run_line(dict(run), now=now), style="bold"), Text(one_line(", ".join(words)))]
    lines += [Text(line, style="magenta") for line in _waits_of_the_run(run)]
    lines += [Text(one_line(f"let it go on: plugmesh resume {run['id']}"))] if run["state"] == "paused" else []
    labels = ", ".join(f"{name}={value}" for name, value in (run.get("labels") or {}).items())
    lines += [Text(one_line(f"labels {labels}"))] if labels else []
    lines += [Text(one_line(line)) for line in _line_of_reruns(run)]
    pin = run.get("pin")
    if pin:
        until = f" until {clock(pin['until'])}" if pin.get("until") else ""
        lines.append(Text(one_line(f"pinned{until}{': ' + pin['reason'] if pin.get('reason') else ''}")))
    if run.get("data_gone_at"):
        lines.append(Text(f"its data was removed {clock(run['data_gone_at'])}"))
    return Group(*lines)


def _waits_of_the_run(run: Mapping[str, Any]) -> list[str]:
    """What the run itself waits for and until when, as far as its first line does not say it."""
    lines = []
    for one in run.get("waits_for") or ():
        if one["step"] is None and one["reason"] != run.get("reason"):
            lines.append(f"it waits for {brief(one['reason'])}{until_text(one['until'])}")
        elif one["step"] is None and one["until"] is not None:
            lines.append(f"it waits until {clock(one['until'])} at the latest")
    return lines


def _line_of_reruns(run: Mapping[str, Any]) -> list[str]:
    """What the run repeats, and what repeats it."""
    origin, root, later = run.get("origin"), run.get("root"), run.get("reruns") or ()
    first = f", the first of them {root}" if root and root != origin else ""
    recovered = sum(step["state"] == "recovered" for step in run.get("steps") or ())
    found = [f"rerun of {origin}{first}; {recovered:,} of its steps recovered"] if origin else []
    shown = ", ".join(later[-_RERUNS_SHOWN:])
    more = f"{len(later) - _RERUNS_SHOWN:,} others and " if len(later) > _RERUNS_SHOWN else ""
    return [*found, f"run again as {more}{shown}"] if later else found


def counts_line(steps: Sequence[Step]) -> str:
    """How many steps are in which state."""
    counts = Counter(one_line(step["state"]) for step in steps)
    listed = [f"{counts[state]:,} {state}" for state in [*_ORDER, *sorted(set(counts) - set(_ORDER))] if counts[state]]
    lost = sum(step.get("losses") or 0 for step in steps)
    tries = f"; {lost:,} attempt{'s' if lost != 1 else ''} lost" if lost else ""
    return f"{len(steps):,} step{'s' if len(steps) != 1 else ''}: {', '.join(listed)}{tries}"


def _steps_table(steps: Sequence[Step]) -> PlainTable:
    words = ("STEP", "STATE")
    made = table(*_COLUMNS, right=[name for name in _COLUMNS if name not in words], whole=("STATE",), spare=_SPARE)
    for step in steps:
        found = _cells(step)
        made.add_row(*(found[name] for name in _COLUMNS))
    return made


def _cells(step: Step) -> dict[str, Text]:
    stats = step.get("stats") or {}
    used = bool(stats)
    told = stats.get("read") is not None  # by the attempt itself: its process was not ended
    rows = f"{stats.get('rows_in', 0):,} → {stats.get('rows_out', 0):,}" if told else _rows_made(step)
    wall = seconds_text(stats["wall_s"]) if used else duration(step.get("started_at"), step.get("ended_at"))
    texts = {
        "STEP": one_line(step["id"]),
        "ROWS": rows,
        "READ": bytes_text(stats.get("bytes_read") if told else None),
        "WRITTEN": bytes_text(stats.get("bytes_written") if told else None),
        "PASSED": bytes_text(stats.get("bytes_passed") if told else None),
        "FAILED": f"{stats.get('rows_failed', 0):,}" if told else "",
        "TIME": wall,
        "CPU": seconds_text(stats.get("cpu_s")),
        "MEMORY": bytes_text(stats.get("peak_memory_bytes") or None),
        "ATTEMPT": str(step.get("epoch") or ""),
    }
    return {**{name: Text(text) for name, text in texts.items()}, "STATE": state_text(step["state"])}


def _rows_made(step: Step) -> str:
    made = [output["rows"] for output in (step.get("outputs") or {}).values() if output.get("rows") is not None]
    return f"→ {sum(made):,}" if made else ""


def _nodes_table(run: Mapping[str, Any], steps: Sequence[Step]) -> PlainTable:
    """One line a node: how far its steps are."""
    nodes: dict[str, Counter[str]] = {}
    for step in steps:
        nodes.setdefault(one_line(step["id"]).partition(".")[0], Counter())[one_line(step["state"])] += 1
    given = run.get("nodes") or {}
    for node, counts in given.items():
        nodes[one_line(node)] = Counter({one_line(state): int(count) for state, count in counts.items()})
    made = table("NODE", "STEPS", "", "STATES", right=("STEPS",), whole=("",))
    shown = [(node, counts) for node, counts in nodes.items() if counts.total() > 1 or set(counts) - _GOOD]
    for node, counts in shown[:STEPS_SHOWN]:
        total = counts.total()
        done = sum(counts[state] for state in counts if state in _GOOD)
        states = ", ".join(f"{number:,} {state}" for state, number in counts.most_common())
        made.add_row(Text(node), Text(f"{total:,}"), Text(bar(done, total, _BAR_WIDTH)), Text(states))
    if len(nodes) > len(made.rows):
        made.add_row(Text(f"… {len(nodes) - len(made.rows):,} more nodes", style="dim"))
    return made


def _notes(run: Mapping[str, Any], steps: Sequence[Step]) -> list[Text]:
    """What no column has room for: progress, errors, attempts that were lost, what is waited for, artifacts."""
    notes: list[Text] = []
    for step in steps:
        name = one_line(step["id"])
        if step.get("progress") and step["state"] in {"running", "assigned"}:
            notes.append(Text(f"{name}  {progress_text(step['progress'])}", style="cyan"))
        if step.get("error") and step["state"] != "succeeded":
            notes.append(Text(brief(f"{name}: {error_line(step['error'])}"), style="red"))
        elif step["state"] in {"skipped", "cancelled"} and step.get("reason"):
            notes.append(Text(f"{name} {step['state']}: {result(dict(step))}"))
        if (step.get("losses") or 0) or (step.get("failures") or 0) > (step["state"] == "failed"):
            more = f": plugmesh show {one_line(run['id'])} --step {name}"
            notes.append(Text(one_line(f"{name}: {tries_text(dict(step))}{more}"), style="yellow"))
        for artifact in step.get("artifacts") or ():
            size = bytes_text(artifact.get("bytes"))
            notes.append(Text(one_line(f"{name} left {artifact['name']}, {size}"), style=""))
    failed = next((one_line(step["id"]) for step in steps if step["state"] == "failed"), None)
    if failed is not None:
        run_id = one_line(run["id"])
        notes.append(Text(f"look at it:       plugmesh show {run_id} --step {failed}", style="dim"))
        notes.append(Text(f"run it here:      plugmesh replay {run_id} {failed} --pdb", style="dim"))
    notes += _webhook_notes(run)
    waits = [one for one in run.get("waits_for") or () if one["step"] is not None and one["state"] not in _AT_WORK]
    notes += [Text(wait_line(dict(run), one), style="magenta") for one in waits]
    left = len(notes) - NOTES_SHOWN
    return notes if left <= 0 else [*notes[:NOTES_SHOWN], Text(f"… and {left:,} more notes", style="dim")]


def _webhook_notes(run: Mapping[str, Any]) -> list[Text]:
    """One line a webhook: whether it was heard, and if not why."""
    notes: list[Text] = []
    for hook in run.get("webhooks") or ():
        tries = f"{hook['attempts']:,} {'try' if hook['attempts'] == 1 else 'tries'}"
        words = [f"webhook {hook['state']}, {tries}: {hook['url']}"]
        words += [str(hook["error"])] if hook.get("error") and hook["state"] != "delivered" else []
        words += [f"next try {clock(hook['next_at'])}"] if hook["state"] == "pending" and hook.get("next_at") else []
        words += [f"again: plugmesh notifications retry {hook['id']}"] if hook["state"] == "failed" else []
        notes.append(Text(brief("; ".join(words)), style="yellow" if hook["state"] == "failed" else ""))
    return notes


def progress_text(progress: Mapping[str, Any]) -> str:
    """How far an attempt says that it is."""
    done, total = float(progress.get("done") or 0), progress.get("total")
    part = percent(done, total)
    amount = f"{number_text(done)} of {number_text(total)}" if part is not None else number_text(done)
    message = f": {brief(progress['message'])}" if progress.get("message") else ""
    return f"{bar(done, total, _BAR_WIDTH)} {f'{part} %, ' if part is not None else ''}{amount}{message}"
