"""Which lines of a traceback are the author's: what its user is shown starts there."""

from __future__ import annotations

import importlib
import os
import re
import sysconfig
import traceback
from pathlib import Path

_PACKAGES = ("module_sdk", "plugmesh", "modules", "gateway", "registry", "scheduler")
_ROOTS = {Path(__file__).parent.parent, Path(__file__).resolve().parent.parent}  # differ behind a symbolic link
_OURS = tuple(f"{root / name}{os.sep}" for root in _ROOTS for name in _PACKAGES)
_PATHS = ("stdlib", "platstdlib", "purelib", "platlib")
_INSTALLED = tuple(f"{sysconfig.get_path(name)}{os.sep}" for name in _PATHS)

_COMPILED = (".pxi", ".pyx", ".pxd", ".rs", ".cpp", ".c")
"""Compiled libraries name places in sources that are not there."""

_DUMPED_FRAME = re.compile(r'^  File "(.+)", line (\d+) in ', re.MULTILINE)


def shown_frames(error: BaseException) -> list[traceback.FrameSummary]:
    """The frames outside Plugmesh and Python's import machinery, outermost first."""
    return [frame for frame in traceback.extract_tb(error.__traceback__) if not _is_machinery(frame.filename)]


def place_of_error(error: BaseException, file: str = "") -> str:
    """`FILE:LINE` of the innermost line that its author wrote, "" if there is none. `file`: the module's own file.

    Libraries are skipped: the line that called them is the one to look at. `file` may lie among them.
    """
    if isinstance(error, SyntaxError) and error.filename and error.lineno and not _is_machinery(error.filename):
        return f"{error.filename}:{error.lineno}"
    for frame in reversed(shown_frames(error)):
        if frame.filename == file or not _is_library(frame.filename):
            return f"{frame.filename}:{frame.lineno}"
    return ""


def place_in_dump(dump: str) -> str:
    """`FILE:LINE` of the author's line where the main thread was, in what a faulthandler wrote; "" if there is none."""
    blocks = re.split(r"^(?=Thread 0x|Current thread 0x)", dump, flags=re.MULTILINE)
    blocks.sort(key=lambda block: not block.startswith("Current"))
    for block in blocks:
        for file, line in _DUMPED_FRAME.findall(block):  # the innermost comes first
            if not _is_machinery(file) and not _is_library(file):
                return f"{file}:{line}"
    return ""


def import_failure(error: BaseException, file: str) -> str:
    """What to say when an author's file cannot be imported: its place and message, then the author's frames."""
    frames = shown_frames(error)
    where = place_of_error(error, file) or file
    said = traceback.format_exception_only(error)
    message = said.pop(-1 if isinstance(error, SyntaxError) else 0)
    parts = [f"{where}: {message}", *traceback.format_list(frames), *said]
    return "\n".join(part.rstrip("\n") for part in parts)


def _is_machinery(filename: str) -> bool:
    return filename.startswith((*_OURS, "<frozen ")) or filename == importlib.__file__


def _is_library(filename: str) -> bool:
    return filename.startswith(_INSTALLED) or filename.endswith(_COMPILED)
