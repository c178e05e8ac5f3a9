"""`plugmesh backup` and `plugmesh restore`: state and objects of a mesh, to a folder and from it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from plugmesh.cli.api.session import Session
from plugmesh.cli.arguments import HERE, AsJson
from plugmesh.cli.commands.db import THERE, Data, SettingsFile
from plugmesh.cli.commands.doctor.server_part import server_part
from plugmesh.cli.display.amounts import bytes_text
from plugmesh.errors import ConfigurationError, ObjectMissing
from plugmesh.urls import hidden

if TYPE_CHECKING:
    from plugmesh.backup.folder import Manifest
    from plugmesh.backup.restoring import Looked, Restored
    from plugmesh.objects.port import SweptStore

_SHOWN = 20


def backup(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A new folder for the backup.")],
    data: Data = THERE,
    settings: SettingsFile = None,
    as_json: AsJson = False,
) -> None:
    """Take a backup of a mesh, while it works or when it is stopped: all rows as they are at one moment, and every object.

    Database and object store are those of the data folder, or those that PLUGMESH_STATE and PLUGMESH_OBJECTS name. While it is
    being taken nothing is swept. A folder without `manifest.json` is no backup: it was cut off.
    """
    with Session(HERE, as_json) as session, server_part("a backup is taken"):
        from plugmesh.backup.folder import BackupFolder  # noqa: PLC0415  a server's part: its libraries may not be there
        from plugmesh.backup.taking import take  # noqa: PLC0415  as above

        place = BackupFolder(folder.expanduser().resolve())
        url, store = _places(session, data, settings)
        with session.transferring("objects") as told:
            manifest = take(place, url, store, session.runtime, told)
        for line in manifest.missing[:_SHOWN]:
            session.warn(f"not in the store: {line}")
        session.answer(
            {"folder": str(place.path), **manifest.model_dump()}, lambda: session.say(_taken(place.path, manifest))
        )


def restore(
    *,
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="The folder of a backup.")],
    data: Data = THERE,
    settings: SettingsFile = None,
    partial: Annotated[
        bool, typer.Option("--partial", help="Also if objects that rows name are not in the backup, or damaged there.")
    ] = False,
    ahead: Annotated[
        bool,
        typer.Option(
            "--ahead", help="Also into a store that has newer objects of the same mesh, which must be stopped."
        ),
    ] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Only read the backup and compare it with its hashes.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Make a mesh from a backup: the rows into an empty database, the objects into an empty store, each of whatever kind.

    Both are those of the data folder, or those that PLUGMESH_STATE and PLUGMESH_OBJECTS name. All of the backup is read and
    compared first. Start the servers afterwards; runs that were under way go on.
    """
    with Session(HERE, as_json) as session, server_part("a backup is restored"):
        from plugmesh.backup.folder import BackupFolder  # noqa: PLC0415  as above
        from plugmesh.backup.restoring import look, refusal  # noqa: PLC0415  as above
        from plugmesh.backup.restoring import restore as put_back  # noqa: PLC0415  as above

        place = BackupFolder(folder.expanduser().resolve())
        with session.transferring("looking at the backup") as told:
            looked = look(place, told)
        _warn(session, looked)
        if check:
            session.answer(_document(looked), lambda: session.say(_checked(looked)))
            if looked.lost:
                raise ObjectMissing(refusal(looked.lost))
            return
        url, store = _places(session, data, settings)
        with session.transferring("objects") as told:
            done = put_back(place, looked, url, store, session.runtime, partial=partial, ahead=ahead, told=told)
        session.answer(
            {**_document(looked), "database": hidden(url), "rows": done.rows, "new": done.objects, "ahead": done.ahead},
            lambda: session.say(_restored(hidden(url).partition("?")[0], done)),
        )


def _places(session: Session, data: Path, settings: Path | None) -> tuple[str, SweptStore]:
    """The URL of the mesh's database, and its object store. Raises `ConfigurationError`."""
    from plugmesh.cli.roles.places import objects_url, state_url  # noqa: PLC0415  takes the bus along
    from plugmesh.objects.open import open_store  # noqa: PLC0415  only who needs one pays
    from plugmesh.settings.given import settings_of  # noqa: PLC0415  as above
    from plugmesh.settings.settings import SettingsInvalid  # noqa: PLC0415  as above

    folder = data.expanduser().resolve()
    try:
        known = settings_of(os.environ, settings, folder, {})
    except SettingsInvalid as error:
        raise ConfigurationError(str(error)) from None
    objects = objects_url(folder, known)
    if objects.startswith("file:") and "durable=" not in objects:  # as the rows are, that name them
        objects += ("&" if "?" in objects else "?") + "durable=true"
    return state_url(folder, known), open_store(objects, session.runtime)


def _warn(session: Session, looked: Looked) -> None:
    named = {one.key for one in looked.lost}
    for one in [one for one in looked.damaged if one.key not in named][:_SHOWN]:
        session.warn(f"damaged in the backup, and left out; no row names it: {one.key}")
    for lost in looked.lost[:_SHOWN]:
        session.warn(f"not there, or damaged: {lost}")


def _document(looked: Looked) -> dict[str, Any]:
    manifest = looked.manifest
    lost = [{"key": one.key, "run": one.run or None, "what": one.what} for one in looked.lost]
    return {
        "version": manifest.version,
        "made_at": manifest.made_at,
        "objects": len(looked.whole),
        "damaged": [one.key for one in looked.damaged],
        "lost": lost,
    }


def _taken(folder: Path, manifest: Manifest) -> str:
    rows = sum(one.rows for one in manifest.tables)
    return f"{folder}: {rows:,} rows, {manifest.objects:,} objects ({bytes_text(manifest.object_bytes)})"


def _checked(looked: Looked) -> str:
    rows = sum(one.rows for one in looked.manifest.tables)
    return f"{rows:,} rows and {len(looked.whole):,} objects are as they were taken, {len(looked.damaged):,} are not"


def _restored(url: str, done: Restored) -> str:
    before = f", {done.there_before:,} were there already" if done.there_before else ""
    return f"{done.rows:,} rows are in {url}, {done.objects:,} objects were written{before}: start the servers"
