"""`plugmesh doctor`: every part looked at, and what to do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from plugmesh import __version__
from plugmesh.cli.api.client import MeshClient
from plugmesh.cli.api.session import Session
from plugmesh.cli.arguments import HERE, AsJson, Url
from plugmesh.cli.commands.doctor import invariants, machine, mesh, modules, scrub, storage
from plugmesh.cli.commands.doctor.check import Check, Verdict
from plugmesh.cli.commands.doctor.server_part import server_part
from plugmesh.cli.display.amounts import seconds_text
from plugmesh.cli.display.console import tight
from plugmesh.cli.display.terminal_text import one_line
from plugmesh.cli.exits import ExitCode
from plugmesh.errors import ConfigurationError, NotFound

DATA = Path("plugmesh-data")
ANSWER_S = 5.0
"""A mesh that says nothing for so long is stopped, or as good as that."""
_MARKS = {Verdict.OK: ("ok", "green"), Verdict.WARNING: ("warning", "yellow"), Verdict.PROBLEM: ("PROBLEM", "bold red")}


def doctor(
    *,
    data: Annotated[
        Path | None,
        typer.Option(metavar="DIR", envvar="PLUGMESH_DATA", help="The mesh's data folder. [default: plugmesh-data]"),
    ] = None,
    folders: Annotated[
        list[Path] | None,
        typer.Option(
            "--modules", metavar="DIR", help="Import each module file of this folder, to see whether it can be."
        ),
    ] = None,
    check_invariants: Annotated[
        bool,
        typer.Option(
            "--invariants",
            help="Check instead that what must hold of every mesh holds of the one in the data folder, running or "
            "stopped: every run, every step, every event. Takes minutes where there are very many.",
        ),
    ] = False,
    hashes: Annotated[
        bool,
        typer.Option("--hashes", help="With --invariants: read all data that runs name, too, and compare its hashes."),
    ] = False,
    scrub_data: Annotated[
        bool,
        typer.Option(
            "--scrub",
            help="Read instead all data that the mesh of the data folder keeps, running or stopped, at no more than 200 MiB/s, "
            "and compare it with its hashes: says run, step, port and column of what has changed.",
        ),
    ] = False,
    as_json: AsJson = False,
    url: Url = HERE,
) -> None:
    """Look at every part of Plugmesh, try each service that the settings name, and say what to do.

    Settings are those of the data folder and the environment. What is written for a trial is taken away again; nothing else is
    changed.

    Exits with 1 if there is a problem; a warning is none.
    """
    with Session(url, as_json) as session:
        if check_invariants:
            _check_invariants(session, (data or DATA).expanduser().resolve(), hashes)
            return
        if scrub_data:
            _scrub(session, (data or DATA).expanduser().resolve())
            return
        if hashes:
            raise ConfigurationError("--hashes says how --invariants looks at data: give both")
        files = _module_files(folders or ())
        checks = list(_checks(session, data, files))
        session.answer(
            {"checks": [asdict(check) for check in checks], "ok": _is_well(checks)},
            lambda: session.console.print(report(checks)),
        )
        if not _is_well(checks):
            raise typer.Exit(ExitCode.RUN_FAILED)


def _check_invariants(session: Session, data: Path, hashes: bool) -> None:
    found = invariants.checked(data, hashes=hashes, as_json=session.as_json)
    session.answer(
        invariants.document(found, data),
        lambda: session.console.print(invariants.shown(found, data, hashes=hashes)),
    )
    if not found.ok:
        raise typer.Exit(ExitCode.RUN_FAILED)


def _scrub(session: Session, data: Path) -> None:
    found = scrub.scrubbed(data, as_json=session.as_json)
    session.answer(scrub.document(found, data), lambda: session.console.print(scrub.shown(found)))
    if found.damages:
        raise typer.Exit(ExitCode.RUN_FAILED)


def report(checks: Sequence[Check]) -> RenderableType:
    """A line for each part; what to do stands below it."""
    made = Table.grid(padding=(0, 2, 0, 0))
    for is_last in (False, False, True):
        made.add_column(no_wrap=not is_last, overflow="fold")
    for check in checks:
        word, style = _MARKS[check.verdict]
        took = "" if check.seconds is None else f" ({seconds_text(check.seconds)})"
        found = Text(one_line(check.found + took))
        made.add_row(Text(word, style=style), Text(one_line(check.part), style="bold"), found)
        if check.todo:
            made.add_row("", "", Text(f"→ {one_line(check.todo)}"))
    counts = Counter(check.verdict for check in checks)
    problems, warnings = counts[Verdict.PROBLEM], counts[Verdict.WARNING]
    verdict = (
        "everything is well"
        if not problems + warnings
        else f"{_many(problems, 'problem')}, {_many(warnings, 'warning')}"
    )
    return Group(tight(made), Text(), Text(verdict, style="bold red" if problems else "bold"))


def _many(count: int, word: str) -> str:
    return f"{count} {word}{'s' if count != 1 else ''}"


def _is_well(checks: Sequence[Check]) -> bool:
    return all(check.verdict is not Verdict.PROBLEM for check in checks)


def _checks(session: Session, data: Path | None, files: Sequence[Path]) -> Iterator[Check]:
    now = session.runtime.wall()
    yield machine.check_python(machine.python_version())
    yield machine.check_libraries(machine.libraries())
    yield machine.check_limits(machine.limits())
    with MeshClient(session.client.url, session.runtime, timeout_s=ANSWER_S) as client:
        served = mesh.served_at(client, session.runtime)
    yield from _storage(data, now, served=not served.error)
    yield from mesh.checks_of(served, __version__)
    yield from _services(session, data, served)
    for file in files:
        yield modules.check_file(modules.imported(file))


def _storage(data: Path | None, now: float, *, served: bool) -> Iterator[Check]:
    folder = storage.folder_at((data or DATA).expanduser().resolve())
    yield storage.check_folder(folder, asked=data is not None)
    if not (folder.exists and folder.is_folder and folder.writable):
        return
    yield storage.check_room(folder)
    yield storage.check_secrets(folder)
    yield storage.check_database(storage.database_in(folder.path))
    yield storage.check_leftovers(storage.leftovers_in(folder.path, now), served=served)
    yield storage.check_logs(storage.log_bytes_in(folder.path))


def _services(session: Session, data: Path | None, served: mesh.Served) -> list[Check]:
    folder = (data or DATA).expanduser().resolve()
    with server_part("services are tried"):
        from plugmesh.cli.commands.doctor.services import tried_services  # noqa: PLC0415  takes drivers and the database along
    there = not served.error and not served.refused
    return tried_services(folder, session.client.url, session.runtime, served=there, known=len(served.instances))


def _module_files(folders: Sequence[Path]) -> list[Path]:
    found: list[Path] = []
    for folder in folders:
        if not folder.is_dir():
            raise NotFound(f"--modules {folder} is no folder")
        from plugmesh.cli.server.folder import module_files  # noqa: PLC0415  watches files, which few commands do

        try:
            found += module_files(folder)
        except OSError as error:
            raise ConfigurationError(f"--modules {folder} cannot be read: {error.strerror}") from error
    return found
