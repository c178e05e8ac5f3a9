"""`plugmesh dlq …`: rows that steps rejected, looked at, corrected, given to another run, or given up."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from plugmesh.cli.api.routes import at
from plugmesh.cli.api.session import Session
from plugmesh.cli.arguments import HERE, AsJson, Limit, Url, Yes
from plugmesh.cli.commands.dlq.editing import edited_text, in_editor
from plugmesh.cli.commands.dlq.showing import show_letter, show_letters
from plugmesh.cli.commands.run import TableFormat, finish
from plugmesh.cli.root import group

LetterId = Annotated[
    str, typer.Argument(metavar="LETTER", help="The dead letter: RUN.STEP, as `plugmesh dlq ls` shows.")
]


def dlq_app() -> typer.Typer:
    """The commands about dead letters."""
    app = group("dlq", "See, correct and use again the rows that steps rejected.")
    app.command("ls")(list_letters)
    for command in (show, edit, redrive, discard):
        app.command()(command)
    return app


def list_letters(
    *,
    run: Annotated[str | None, typer.Option(help="Only of this run.")] = None,
    flow: Annotated[str | None, typer.Option(help="Only of this flow.")] = None,
    step: Annotated[str | None, typer.Option(help="Only of this step, or of the elements of this mapped node.")] = None,
    state: Annotated[str | None, typer.Option(help="Only in this state: open, redriven, discarded.")] = None,
    limit: Limit = 50,
    as_json: AsJson = False,
    url: Url = HERE,
) -> None:
    """List the newest dead letters: for each step that rejected rows, how many and why."""
    with Session(url, as_json) as session:
        found = list(session.client.pages("/dlq", "letters", limit, run=run, flow=flow, step=step, state=state))
        session.answer({"letters": found}, lambda: show_letters(session, found))


def show(
    letter: LetterId,
    *,
    limit: Annotated[int, typer.Option(min=0, max=10_000, help="So many rows.")] = 20,
    offset: Annotated[int, typer.Option(min=0, help="Leave out so many rows first.")] = 0,
    original: Annotated[
        bool, typer.Option("--original", help="As they were rejected, also if they were corrected.")
    ] = False,
    as_json: AsJson = False,
    url: Url = HERE,
) -> None:
    """Show a dead letter and its rows."""
    with Session(url, as_json) as session:
        found = session.client.get(at("dlq", letter))
        there = found["data_gone_at"] is None
        path = at("dlq", letter, "rows")
        page = session.client.get(path, limit=limit, offset=offset, original=original) if there else None
        session.answer({**found, "page": page}, lambda: show_letter(session, found, page))


def edit(
    letter: LetterId,
    *,
    file: Annotated[
        Path | None,
        typer.Option(
            "--file", "-f", metavar="FILE", help="Take the rows from here: JSON lines, or .csv; -: from stdin."
        ),
    ] = None,
    as_json: AsJson = False,
    url: Url = HERE,
) -> None:
    """Correct the rows of a dead letter, in $EDITOR as JSON lines or from a file.

    Columns and types stay as they are; rows may go and come. What is wrong is told with line:column, and nothing changes.
    """
    with Session(url, as_json) as session:
        if file is None:
            changed = in_editor(session, letter)
            if changed is None:
                session.answer(session.client.get(at("dlq", letter)), lambda: session.say("nothing was changed"))
                return
        else:
            text, kind = edited_text(file)
            changed = session.client.put(at("dlq", letter, "rows"), text, {"content-type": kind})
        rows = changed["edited_rows"]
        words = f"{letter} has {rows:,} corrected row{'' if rows == 1 else 's'}: plugmesh dlq redrive {letter}"
        session.answer(changed, lambda: session.say(words))


def redrive(
    letter: LetterId,
    *,
    port: Annotated[
        str | None, typer.Option(help="The input that gets the rows, where the step reads several tables.")
    ] = None,
    follow_run: Annotated[
        bool, typer.Option("--follow/--no-follow", help="Wait for the run's end, and show how it goes and its outputs.")
    ] = False,
    as_json: AsJson = False,
    url: Url = HERE,
) -> None:
    """Give the rows to a new run: the step and what is below it run on them, the rest is taken over. Once."""
    with Session(url, as_json) as session:
        made = session.client.send("POST", at("dlq", letter, "redrive"), {} if port is None else {"port": port})
        words = f"run {made['run']} {'has' if made['repeated'] else 'gets'} the rows of {letter}"
        if follow_run:
            session.say(words)
            finish(session, made["run"], None, TableFormat.PARQUET.value)
        else:
            session.answer(made, lambda: session.say(f"{words}: plugmesh show {made['run']} --follow"))


def discard(
    letter: LetterId,
    *,
    reason: Annotated[str, typer.Option(help="Why, for whoever asks later.")] = "",
    yes: Yes = False,
    as_json: AsJson = False,
    url: Url = HERE,
) -> None:
    """Give the rows up: no run gets them any more."""
    with Session(url, as_json) as session:
        session.confirm(f"Give up the rows of {letter}?", yes)
        found = session.client.send("POST", at("dlq", letter, "discard"), {"reason": reason})
        session.answer(found, lambda: session.say(f"{letter} is discarded"))
