"""`plugmesh files …`: the files that the mesh keeps, by name and version."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from plugmesh.cli.api.routes import at
from plugmesh.cli.api.session import Session
from plugmesh.cli.api.transfer import STDOUT, pour, resume, upload
from plugmesh.cli.arguments import HERE, AsJson, Limit, Namespace, Url, Yes
from plugmesh.cli.display.amounts import bytes_text, clock
from plugmesh.cli.display.console import cells, table
from plugmesh.cli.root import group
from plugmesh.errors import NotFound

FileName = Annotated[str, typer.Argument(metavar="NAME", help="The file's name on the mesh.")]
Version = Annotated[str | None, typer.Option(help="This version; the newest otherwise.")]


def files_app() -> typer.Typer:
    """The commands about files."""
    app = group("files", "Keep files on the mesh.")
    for command in (put, get, versions):
        app.command()(command)
    app.command("ls")(list_files)
    app.command("rm")(remove)
    return app


def put(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="A local file.")],
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="Its name on the mesh; the same otherwise.")
    ] = None,
    namespace: Namespace = None,
    as_json: AsJson = False,
    url: Url = HERE,
) -> None:
    """Store a local file as a new version of a name."""
    with Session(url, as_json) as session:
        if not path.is_file():
            raise NotFound(f"there is no file {path}")
        with session.transferring(path.name) as progress:
            stored = upload(session.client, name or path.name, path, progress, namespace)
        session.answer(
            stored, lambda: session.say(f"{stored['name']}: {bytes_text(stored['bytes'])}{_version(stored)}")
        )


def get(
    name: FileName,
    *,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="FILE", help="Write to this file, or -: to stdout; else one of its name."),
    ] = None,
    version: Version = None,
    namespace: Namespace = None,
    as_json: AsJson = False,
    url: Url = HERE,
) -> None:
    """Fetch a file. What came before an interruption is kept, and the same command fetches the rest."""
    with Session(url, as_json) as session:
        if out == STDOUT:
            pour(session.client, at("files", name), version=version, namespace=namespace)
            return
        target = out or Path(Path(name).name)
        target = target / Path(name).name if target.is_dir() else target
        with session.transferring(target.name) as progress:
            resume(session.client, at("files", name), target, progress, version=version, namespace=namespace)
        size = target.stat().st_size
        session.answer({"file": str(target), "bytes": size}, lambda: session.say(f"{target}: {bytes_text(size)}"))


def list_files(
    prefix: Annotated[str | None, typer.Argument(metavar="PREFIX", help="Only names that begin so.")] = None,
    limit: Limit = 1000,
    namespace: Namespace = None,
    as_json: AsJson = False,
    url: Url = HERE,
) -> None:
    """List the newest version of each file."""
    with Session(url, as_json) as session:
        query = {"prefix": prefix, "namespace": namespace}
        found = list(session.client.pages("/files", "files", limit, **query))
        session.answer({"files": found}, lambda: _show(session, found, "no files yet: plugmesh files put PATH"))


def versions(name: FileName, namespace: Namespace = None, as_json: AsJson = False, url: Url = HERE) -> None:
    """List the versions of a file, the newest first."""
    with Session(url, as_json) as session:
        found = session.client.get(at("files", name, "versions"), namespace=namespace)
        session.answer(found, lambda: _show(session, found["versions"], "no versions"))


def remove(
    name: FileName,
    *,
    version: Annotated[str | None, typer.Option(help="Only this version.")] = None,
    namespace: Namespace = None,
    yes: Yes = False,
    as_json: AsJson = False,
    url: Url = HERE,
) -> None:
    """Remove a file. Runs that are not over keep the versions that they were given."""
    with Session(url, as_json) as session:
        what = f"version {version} of {name}" if version else f"{name} with all its versions"
        session.confirm(f"Remove {what}?", yes)
        session.client.send("DELETE", at("files", name), version=version, namespace=namespace)
        session.answer({"name": name, "removed": True}, lambda: session.say(f"{what} is removed"))


def _show(session: Session, found: list[dict[str, Any]], none: str) -> None:
    if not found:
        session.say(none)
        return
    made = table(
        "NAME", "VERSION", "SIZE", "STORED", "BY", right=("SIZE",), whole=("STORED",), spare=("BY", "VERSION", "STORED")
    )
    for one in found:
        at_ = clock(one.get("created_at"))
        made.add_row(*cells(one["name"], one.get("version"), bytes_text(one["bytes"]), at_, one.get("actor")))
    session.console.print(made)


def _version(stored: dict[str, Any]) -> str:
    return f", version {stored['version']}" if stored.get("version") is not None else ""
