"""What is kept and what was swept, as text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from plugmesh.cli.api.session import Session
from plugmesh.cli.display.amounts import bytes_text, clock
from plugmesh.cli.display.console import cells, table


def show_usage(session: Session, usage: dict[str, Any]) -> None:
    """How much there is, of what, whose, and what holds it."""
    for line in usage_lines(usage):
        session.say(line)
    if usage["flows"]:
        made = table("FLOW", "RUNS", "DATA", "LOGS", right=("RUNS", "DATA", "LOGS"))
        for one in usage["flows"]:
            flow = f"{one['namespace']}/{one['flow']}"
            made.add_row(*cells(flow, f"{one['runs']:,}", bytes_text(one["bytes"]), bytes_text(one["log_bytes"])))
        session.console.print(made)
    if usage["files"]:
        made = table("FILES OF", "VERSIONS", "SIZE", "TO GO", right=("VERSIONS", "SIZE", "TO GO"))
        for one in usage["files"]:
            made.add_row(*cells(one["namespace"], f"{one['versions']:,}", bytes_text(one["bytes"]), one["deleted"]))
        session.console.print(made)
    if usage["held"]:
        made = table("HELD", "BY", "WHY", "UNTIL")
        for one in usage["held"]:
            who = f"{one['by']} of {one['actor']}" if one["actor"] else one["by"]
            made.add_row(*cells(one["held"], who, one["reason"], clock(one["until"]) if one["until"] else "let go"))
        session.console.print(made)


def show_swept(session: Session, report: dict[str, Any]) -> None:
    """What a round of the sweeper did, or would do."""
    for line in swept_lines(report):
        session.say(line)


def usage_lines(usage: dict[str, Any]) -> Iterator[str]:
    """The sums, a sentence each."""
    kinds = ", ".join(f"{one['kind']} {bytes_text(one['bytes'])}" for one in usage["kinds"])
    limit = usage["limit_bytes"]
    most = f"; outputs may take up to {bytes_text(limit)}" if limit is not None else ""
    yield f"{bytes_text(usage['bytes'])} are kept ({kinds}){most}"
    if usage["marked_runs"]:
        yield f"{_runs(usage['marked_runs'])} with {bytes_text(usage['marked_bytes'])} will be deleted soon"
    if usage["free_bytes"]:
        yield f"{bytes_text(usage['free_bytes'])} of deleted data are free to be written again, or given up when the disk is full"
    swept = f"last swept {clock(usage['swept_at'])}" if usage["swept_at"] else "not swept since the server started"
    yield f"{swept}; runs that ended in the last minutes are not counted yet"


def swept_lines(report: dict[str, Any]) -> Iterator[str]:
    """A sentence for each thing that was done, or would be; one at least."""
    would = "would be " if report["dry_run"] else ""
    objects = report["released_objects"] + report["garbage_objects"]
    size = report["released_bytes"] + report["garbage_bytes"]
    parts = [
        (objects, f"{would}deleted: {_many(objects, 'object')}, {bytes_text(size)}"),
        (
            report["data_runs"],
            f"{would}marked: data of {_runs(report['data_runs'])}, {bytes_text(report['data_bytes'])}; it is gone for "
            "everybody at once, and deleted when the grace is over",
        ),
        (report["log_runs"], f"{would}marked: logs of {_runs(report['log_runs'])}"),
        (report["file_versions"], f"{would}marked: {_many(report['file_versions'], 'version')} of files"),
        (report["event_runs"], f"{would}removed: events of {_runs(report['event_runs'])}"),
        (report["removed_runs"], f"{would}removed: {_runs(report['removed_runs'])}, whole"),
        (report["stuck_objects"], f"could not be deleted: {_many(report['stuck_objects'], 'object')}; see the log"),
        (report["failures"], f"failed, and tried again in the next round: {_many(report['failures'], 'part')}"),
    ]
    done = [text for number, text in parts if number]
    yield from done or [f"nothing {'would go' if report['dry_run'] else 'to remove'}"]
    if report["young_runs"]:
        yield f"{_runs(report['young_runs'])} ended a moment ago: looked at when the grace is over"


def _runs(number: int) -> str:
    return _many(number, "run")


def _many(number: int, word: str) -> str:
    return f"{number:,} {word}{'' if number == 1 else 's'}"
