"""`plugmesh replay`: a real step once more, here, on its exact inputs and params."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import unquote, urlsplit

import typer

from plugmesh.cli.api.client import Refusal
from plugmesh.cli.api.routes import at, output_at, step_at
from plugmesh.cli.api.session import Session
from plugmesh.cli.api.transfer import save
from plugmesh.cli.arguments import HERE, RunId, StepId, Url
from plugmesh.cli.exits import ExitCode
from plugmesh.errors import NotFound
from plugmesh.server_path import server_path

_LARGEST_BYTES = 1_000_000


def replay(
    run: RunId,
    step: StepId,
    *,
    file: Annotated[
        Path | None, typer.Option(metavar="FILE.py", help="The module's file; looked for otherwise.")
    ] = None,
    epoch: Annotated[int | None, typer.Option(min=1, help="Refuse unless this is the step's attempt.")] = None,
    debug: Annotated[bool, typer.Option("--pdb", help="When it fails: the debugger, at the author's line.")] = False,
    stop: Annotated[bool, typer.Option("--break", help="The debugger, at the function's first line.")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Go on with another contract, and with a sink, whose effect is repeated.")
    ] = False,
    objects: Annotated[
        str, typer.Option(metavar="URL", help="The mesh's object store, where it has another address from here.")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Answer with one JSON document.")] = False,
    url: Url = HERE,
) -> None:
    """Run a step again here, on its exact inputs and params.

    Shows the outputs and whether they are the accepted ones. Nothing is written to the mesh. The file is --file, or
    the one where the step failed, or that the mesh here serves, or one in this folder that has the module.
    """
    from plugmesh.cli.commands.authoring.replaying import Replay  # noqa: PLC0415  slow: takes pyarrow along, for one command

    with Session(url, as_json) as session, tempfile.TemporaryDirectory(prefix="plugmesh-replay-") as folder:
        document = session.client.get(step_at(run, step, "replay"))
        if epoch is not None and document["epoch"] != epoch:
            raise NotFound(
                f"step {step} of {run} is at attempt {document['epoch']}; what attempt {epoch} got is not kept"
            )
        found = file if file is not None else find_file(document["module"], _known(document, objects), _near())
        if not found.is_file():
            raise NotFound(f"there is no file {found}")
        session.say(f"{document['module']}@{document['version']} from {found}, as in {run} {step}")
        wanted = Replay(
            file=str(found),
            document=document,
            url=session.client.url,
            path=str(server_path() if _is_builtin(found) else found.resolve().parent),
            contract=_contract(session, document),
            accepted=_accepted(session, document, Path(folder)),
            objects=objects,
            force=force,
            debug=debug,
            stop=stop,
            as_json=as_json,
        )
        command = wanted.save(Path(folder) / "replay.json")
        code = subprocess.run(command, check=False, env={**os.environ, "PYTHONUNBUFFERED": "1"}).returncode
    if code < 0:
        print(f"plugmesh: the module's process was ended by signal {-code}")
    raise typer.Exit(code if code >= 0 else ExitCode.RUN_FAILED)


def find_file(module: str, known: Iterable[Path], near: Iterable[Path]) -> Path:
    """The first file that has the module: of those `known` to serve one, its name is enough; one that only lies `near`
    must declare it, since it is going to be run, and may be anything. Raises `NotFound`."""
    name = rf"[\"']{re.escape(module)}[\"']"
    declares = rf"^\s*(?:from|import)\s+module_sdk\b.*^\s*@(?:\w+\.)?module\(\s*{name}"
    for pattern, paths in ((name, known), (declares, near)):
        for path in paths:
            if re.search(pattern, _text_of(path), re.MULTILINE | re.DOTALL):
                return path
    raise NotFound(f"no file here has the module {module}: say which one it is with --file FILE.py")


def _text_of(path: Path) -> str:
    try:
        return path.read_text("utf-8") if path.stat().st_size <= _LARGEST_BYTES else ""
    except (OSError, ValueError):
        return ""


def _known(document: Mapping[str, Any], objects: str) -> Iterable[Path]:
    where = str((document.get("error") or {}).get("where") or "")
    if where:
        yield Path(where.rpartition(":")[0])
    yield from _served_here(objects)


def _near() -> Iterable[Path]:
    yield from sorted(Path().glob("*.py"))
    yield from sorted(Path().glob("*/*.py"))
    yield from sorted((server_path() / "modules").rglob("*.py"))


def _served_here(objects: str) -> Iterable[Path]:
    """The files that a server on this machine serves, as it has written them down beside its objects."""
    from plugmesh.cli.server.record import Record  # noqa: PLC0415  slow: takes pydantic along

    folder = Path(unquote(urlsplit(objects).path)).parent if objects.startswith("file://") else Path("plugmesh-data")
    for record in sorted((folder / "run").glob("*.json")):
        for kept in Record(record).read():
            yield from (Path(word) for word in kept.spec.command if word.endswith(".py"))


def _is_builtin(file: Path) -> bool:
    return file.resolve().is_relative_to(server_path() / "modules")


def _contract(session: Session, document: Mapping[str, Any]) -> Any:
    """The contract that the step ran under."""
    found = session.client.get(at("modules", document["module"], "versions", document["version"]))
    return found.get("contract", found)


def _accepted(session: Session, document: Mapping[str, Any], folder: Path) -> dict[str, str]:
    """The outputs that the mesh has of this step, saved in a folder: a path by port."""
    if document["state"] not in {"succeeded", "cached", "recovered"}:
        return {}
    run, step = document["run"], document["step"]
    found = {}
    for number, port in enumerate(session.client.get(step_at(run, step)).get("outputs") or {}):
        target = folder / f"accepted-{number}"
        try:
            with session.transferring(port) as progress:
                save(session.client, output_at(run, step, port, "download"), target, progress, format="arrow")
        except Refusal as error:  # the data was removed: there is nothing to compare with
            session.warn(f"{port}: {error}")
            continue
        found[port] = str(target)
    return found
