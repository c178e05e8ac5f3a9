"""Dumps of meshes: the database as SQL, and the objects that its runs name. `make_dump.py` makes one anew."""

import io
import json
import lzma
import sqlite3
import tarfile
from contextlib import closing
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent / "dumps"
DATABASE, OBJECTS = "state.db", "objects"
_PASSING = ("tmp", "free", "boot")
"""What means nothing in another place: half-written files, free ones, and how the machine was started."""


def save(data: Path, runs: dict[str, str], name: str) -> None:
    """Keep a data folder whose processes are gone; `runs` are the ids of its runs by their names in the story."""
    FOLDER.mkdir(exist_ok=True)
    with closing(sqlite3.connect(data / DATABASE)) as connection:
        text = "\n".join(connection.iterdump())
    (FOLDER / f"{name}.sql").write_text(text + "\n")
    (FOLDER / f"{name}.json").write_text(json.dumps(runs, indent=1) + "\n")
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path in sorted((data / OBJECTS).rglob("*")):
            if path.is_file() and path.relative_to(data / OBJECTS).parts[0] not in _PASSING:
                archive.add(path, str(path.relative_to(data)), filter=_plain)
    (FOLDER / f"{name}.objects.tar.xz").write_bytes(lzma.compress(buffer.getvalue(), preset=9))


def load(name: str, data: Path) -> dict[str, str]:
    """Make a data folder of a dump; the ids of its runs by their names."""
    data.mkdir(mode=0o700, parents=True)
    with closing(sqlite3.connect(data / DATABASE)) as connection:
        connection.executescript((FOLDER / f"{name}.sql").read_text())
    with tarfile.open(FOLDER / f"{name}.objects.tar.xz") as archive:
        archive.extractall(data, filter="data")
    runs: Any = json.loads((FOLDER / f"{name}.json").read_text())
    return dict(runs)


def _plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Nothing of the machine on which it was made."""
    member.uid = member.gid = member.mtime = 0
    member.uname = member.gname = ""
    return member
