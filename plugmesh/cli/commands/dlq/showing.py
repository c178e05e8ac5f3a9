"""Dead letters in words and tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from plugmesh.cli.api.session import Session
from plugmesh.cli.display.amounts import clock, rows_text
from plugmesh.cli.display.console import cells, cut, facts, table
from plugmesh.cli.display.outputs import show_page
from plugmesh.cli.display.terminal_text import one_line


def show_letters(session: Session, found: Sequence[Mapping[str, Any]]) -> None:
    """One line each."""
    if not found:
        session.say("no dead letters")
        return
    made = table(
        "LETTER", "STATE", "ROWS", "AT", "FLOW", "WHY", right=("ROWS",), whole=("LETTER", "STATE"), spare=("FLOW", "AT")
    )
    for one in found:
        made.add_row(
            *cells(one["id"], state_of(one), f"{one['rows']:,}", clock(one["at"]), one["flow"]), cut(reasons_text(one))
        )
    session.console.print(made)


def show_letter(session: Session, letter: Mapping[str, Any], page: Mapping[str, Any] | None) -> None:
    """All about one, and some of its rows."""
    edited = letter["edited_rows"]
    ports = letter["ports"]
    reason = f": {letter['reason']}" if letter["reason"] else ""
    actor = f" by {letter['actor']}" if letter["actor"] else ""
    changed = f"{clock(letter['changed_at'])}{actor}{reason}" if letter["changed_at"] is not None else ""
    lines = [
        ("letter", letter["id"]),
        ("state", state_of(letter)),
        ("step", f"{letter['step']} of run {letter['run']} ({letter['flow']}), which has {letter['outcome']}"),
        ("module", letter["module"]),
        ("rejected", f"{rows_text(letter['rows'])}, {clock(letter['at'])}"),
        ("corrected", "" if edited is None else rows_text(edited)),
        ("why", reasons_text(letter)),
        ("changed", changed),
        (
            "goes to",
            ", ".join(ports) if ports else "no input of the step" if ports is not None else "an unknown module",
        ),
    ]
    session.console.print(facts([(name, one_line(text)) for name, text in lines if text]))
    if page is None:
        session.say(f"its rows were removed with the data of its run, {clock(letter['data_gone_at'])}")
        return
    session.console.print()
    show_page(session, dict(page))


def state_of(letter: Mapping[str, Any]) -> str:
    """The state, and what it led to."""
    if letter["state"] == "redriven":
        return f"redriven: {letter['redrive']}"
    gone = ", rows gone" if letter["data_gone_at"] is not None else ""
    edited = ", corrected" if letter["edited_rows"] is not None and letter["state"] == "open" else ""
    return f"{letter['state']}{edited}{gone}"


def reasons_text(letter: Mapping[str, Any]) -> str:
    """Why rows were rejected, the most frequent reason first."""
    return one_line("; ".join(f"{reason} ({rows:,})" for reason, rows in letter["reasons"].items()))
