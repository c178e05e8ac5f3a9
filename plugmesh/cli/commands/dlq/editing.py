"""Correcting the rows of a dead letter by hand: in an editor, or from a file."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from plugmesh.cli.api.client import Refusal
from plugmesh.cli.api.routes import at
from plugmesh.cli.api.session import Session
from plugmesh.cli.api.transfer import STDOUT, save
from plugmesh.errors import ConfigurationError

LINES, CSV = "application/x-ndjson", "text/csv"
_EDITORS = ("VISUAL", "EDITOR")


def edited_text(file: Path) -> tuple[bytes, str]:
    """The bytes of a file and their kind, by its ending. Raises `ConfigurationError`."""
    if file == STDOUT:
        return sys.stdin.buffer.read(), LINES
    try:
        return file.read_bytes(), CSV if file.suffix.lower() == ".csv" else LINES
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be read: {error.strerror or error}") from error


def in_editor(session: Session, letter: str) -> Any:
    """Let a person change the rows; `None` if nothing was changed. What was refused stays in its file.

    Raises `ConfigurationError`, `Refusal`.
    """
    command = editor()
    folder = Path(tempfile.mkdtemp(prefix="plugmesh-dlq-"))
    file = folder / "rows.jsonl"
    save(session.client, at("dlq", letter, "download"), file)
    before = file.read_bytes()
    _open(command, file)
    text = file.read_bytes()
    if text != before:
        try:
            changed = session.client.put(at("dlq", letter, "rows"), text, {"content-type": LINES})
        except Refusal:
            session.warn(f"nothing was changed; your text is kept: plugmesh dlq edit {letter} --file {file}")
            raise
    file.unlink()
    folder.rmdir()
    return None if text == before else changed


def editor() -> list[str]:
    """The words of the command that $VISUAL or $EDITOR names. Raises `ConfigurationError`."""
    named = next((os.environ[name] for name in _EDITORS if os.environ.get(name, "").strip()), None)
    if named is None:
        raise ConfigurationError(
            "no editor is set: set EDITOR (export EDITOR=nano), or take the rows from a file, --file FILE"
        )
    return shlex.split(named)


def _open(command: list[str], file: Path) -> None:
    try:
        code = subprocess.run([*command, str(file)], check=False).returncode
    except OSError as error:
        raise ConfigurationError(f"the editor {command[0]} cannot be started: {error.strerror or error}") from error
    if code != 0:
        raise ConfigurationError(
            f"the editor {command[0]} ended with {code}; nothing was changed, your text is in {file}"
        )
