"""One step as people look at it: what it did and used, each of its attempts, its error with the traceback."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from plugmesh.cli.display.amounts import bytes_text, clock, rows_text, seconds_text
from plugmesh.cli.display.console import cells, facts, table
from plugmesh.cli.display.run_view import progress_text
from plugmesh.cli.display.steps import duration, error_line, output_text, reason_text, state_text, tries_text
from plugmesh.cli.display.terminal_text import brief, one_line, plain

_COLUMNS_SHOWN = 12
REJECTED = "rejected"
"""The output of rejected rows, as `plugmesh.contracts.module` calls it."""


def step_view(step: Mapping[str, Any]) -> RenderableType:
    """All of it."""
    took = duration(step.get("started_at") or step.get("ready_at"), step.get("ended_at"))
    title = f"{step['id']} of {step['run']} {step['state']}{f' after {took}' if took else ''}"
    parts: list[RenderableType] = [Text(one_line(title), style="bold")]
    parts.append(facts(_facts(step)))
    parts += _attempts(step)
    error = step.get("error")
    if error:
        parts += [Text(), Text(plain(error_line(error)), style="red")]
        parts += [Text(plain(str(error["traceback"]).rstrip()))] if error.get("traceback") else []
    parts += [
        Text(),
        Text(f"what it printed: plugmesh logs {one_line(step['run'])} {one_line(step['id'])}", style="dim"),
    ]
    return Group(*parts)


def _origin(step: Mapping[str, Any]) -> str:
    """The step whose outputs it has, as `plugmesh show RUN --step STEP` takes it."""
    words = str(step.get("recovered_from") or "").rsplit("/", 3)
    return f"{words[1]} --step {words[3]}" if len(words) == 4 else ""


def _facts(step: Mapping[str, Any]) -> list[tuple[str, str]]:
    stats = step.get("stats") or {}
    version = f"@{step['version']}" if step.get("version") else ""
    module = str(step["module"]).partition("@")[0] if version else step.get("module") or ""
    where = f" on {step['instance']}" if step.get("instance") else ""
    found = [
        ("module", f"{module}{version}{where}"),
        ("recovered from", _origin(step)),
        ("reason", "" if step.get("error") else reason_text(step.get("reason"))),
    ]
    found.append(("attempt", tries_text(dict(step)).removeprefix("attempt ") if step.get("epoch") else ""))
    progress = step.get("progress") if step["state"] != "succeeded" else None
    found.append(("progress", progress_text(progress) if progress else ""))
    if stats:
        told = stats.get("read") is not None  # by the attempt itself: its process was not ended
        failed = stats.get("rows_failed") or 0
        passed = f", {stats['rows_passed']:,} of them passed on" if stats.get("rows_passed") else ""
        without = f", {rows_text(failed)} could not be used" if failed else ""
        found += [
            ("rows", f"{stats.get('rows_in', 0):,} → {stats.get('rows_out', 0):,}{passed}{without}" if told else ""),
            ("bytes", _bytes(stats) if told else ""),
            ("columns", _columns(stats)),
            ("used", _used(stats)),
        ]
    outputs = step.get("outputs") or {}
    found.append(("outputs", "; ".join(f"{name}: {output_text('out', one)}" for name, one in outputs.items())))
    if (outputs.get(REJECTED) or {}).get("rows") and step.get("run"):
        found.append(("rejected", f"plugmesh dlq show {step['run']}.{step['id']}"))
    found += [("artifact", _artifact(artifact)) for artifact in step.get("artifacts") or ()]
    return found


def _bytes(stats: Mapping[str, Any]) -> str:
    words = (("bytes_read", "read"), ("bytes_written", "written"), ("bytes_passed", "passed on"))
    return ", ".join(f"{bytes_text(stats.get(name) or 0)} {word}" for name, word in words)


def _columns(stats: Mapping[str, Any]) -> str:
    found = []
    for name, word in (("read", "read"), ("written", "wrote"), ("passed", "passed on")):
        columns = [column for listed in (stats.get(name) or {}).values() for column in listed]
        if columns:
            more = f" and {len(columns) - _COLUMNS_SHOWN:,} more" if len(columns) > _COLUMNS_SHOWN else ""
            found.append(f"{word} {', '.join(map(str, columns[:_COLUMNS_SHOWN]))}{more}")
    return "; ".join(found)


def _used(stats: Mapping[str, Any]) -> str:
    memory = stats.get("peak_memory_bytes")
    peak = f", {bytes_text(memory)} of memory at most" if memory else ""
    return f"{seconds_text(stats.get('wall_s', 0.0))}, {seconds_text(stats.get('cpu_s', 0.0))} of CPU{peak}"


def _artifact(artifact: Mapping[str, Any]) -> str:
    return ", ".join(
        str(word) for word in (artifact["name"], bytes_text(artifact["bytes"]), artifact.get("media_type")) if word
    )


def _attempts(step: Mapping[str, Any]) -> list[RenderableType]:
    attempts = step.get("attempts") or []
    if not attempts:
        return []
    made = table(
        "ATTEMPT",
        "STATE",
        "AT",
        "INSTANCE",
        "TIME",
        "WHY",
        right=("ATTEMPT",),
        whole=("STATE", "AT", "TIME"),
        spare=("TIME", "AT", "INSTANCE"),
    )
    rows = [*attempts]
    if not any(attempt["epoch"] == step.get("epoch") for attempt in attempts):
        rows.append({**step, "at": step.get("ended_at") or step.get("started_at"), "error": None})
    for attempt in rows:
        shown_below = attempt["epoch"] == step.get("epoch") and step.get("error")
        error, stats = None if shown_below else attempt.get("error"), attempt.get("stats") or {}
        why = error_line(error) if error else attempt.get("reason") or ""
        took = seconds_text(stats.get("wall_s"))
        made.add_row(
            *cells(attempt["epoch"]), state_text(attempt["state"]),
            *cells(clock(attempt["at"]), attempt.get("instance") or "", took, brief(why)),
        )  # fmt: skip
    return [Text(), made]
