"""The command lines of processes that serve modules."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import module_sdk
from plugmesh.server_path import server_path

ORPHAN_EXIT_S = 60.0
"""A process that a server started ends by itself when its mesh has been away for so long."""

_SDK = (sys.executable, "-P", "-m", "module_sdk.serving")


def serve_command(
    file: Path, slots: int | None = None, token_file: Path | None = None, drain_s: float | None = None
) -> tuple[str, ...]:
    """Serve an author's file for a person."""
    numbers = (("--slots", slots), ("--drain-s", drain_s))
    options = (word for name, value in numbers if value is not None for word in (name, f"{value:g}"))
    return (*_SDK, str(file), *options, *_join_token(token_file))


def file_command(file: Path, slots: int, drain_s: float, token_file: Path | None = None) -> tuple[str, ...]:
    """Serve an author's file for a server."""
    return (*serve_command(file, slots, token_file), *_for_a_server(drain_s))


def builtins_command(slots: int, drain_s: float, token_file: Path | None = None) -> tuple[str, ...]:
    """Serve the built-in modules for a server."""
    return (*_builtins(slots), *_join_token(token_file), *_for_a_server(drain_s))


def lone_builtins_command(slots: int, drain_s: float, token_file: Path | None = None) -> tuple[str, ...]:
    """Serve the built-in modules in a process that belongs to nobody."""
    return (*_builtins(slots), *_join_token(token_file), "--drain-s", f"{drain_s:g}")


def _builtins(slots: int) -> tuple[str, ...]:
    return (*_SDK, "--package", "modules.builtins", "--path", str(server_path()), "--slots", str(slots))


def builtins_source() -> str:
    """A digest of the code that serves the built-in modules: in a checkout it changes without a new version."""
    folders = (server_path() / "modules", Path(module_sdk.__file__).parent)
    digest = hashlib.sha256()
    for file in sorted(file for folder in folders for file in folder.rglob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def _join_token(file: Path | None) -> tuple[str, ...]:
    """By the path of its file: a command line can be read by everybody."""
    return () if file is None else ("--token-file", str(file))


def _for_a_server(drain_s: float) -> tuple[str, ...]:
    return ("--drain-s", f"{drain_s:g}", "--orphan-exit-s", f"{ORPHAN_EXIT_S:g}")
