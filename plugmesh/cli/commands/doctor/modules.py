"""Module files: does each import cleanly, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from plugmesh.cli.commands.doctor.check import Check, ok, problem

IMPORT_S = 60.0
_IMPORT = """
import sys
from pathlib import Path
from module_sdk.loading import load_file, modules_in
from module_sdk.trace import import_failure
sys.path.insert(0, str(Path(sys.argv[1]).resolve().parent))
try:
    found = modules_in(load_file(sys.argv[1]))
except BaseException as error:
    sys.exit(import_failure(error, sys.argv[1]).splitlines()[0])
sys.stdout = sys.__stdout__
print("\\n" + "\\n".join(module.contract.ref for module in found))
"""


@dataclass(frozen=True, slots=True)
class ModuleFile:
    """A file that was imported: the modules in it, or why it could not be."""

    path: Path
    modules: tuple[str, ...] = ()
    error: str = ""


def check_file(file: ModuleFile) -> Check:
    """Whether the mesh could serve it."""
    part = f"module file {file.path.name}"
    if file.error:
        return problem(part, file.error, f"correct it, and try it: plugmesh module dev {file.path}")
    if not file.modules:
        return problem(
            part, "it has no modules", "decorate a function with @module, or put _ in front of the file's name"
        )
    return ok(part, ", ".join(file.modules))


def imported(path: Path) -> ModuleFile:
    """Import a file, elsewhere."""
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-c", _IMPORT, str(path)], capture_output=True, text=True, check=False,
            errors="replace", timeout=IMPORT_S, env=environment, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return ModuleFile(path, error=f"its import did not end within {IMPORT_S:g} s")
    if done.returncode == 0:
        return ModuleFile(path, tuple(done.stdout.rpartition("\n\n")[2].split()))
    said = done.stderr.strip().splitlines()
    return ModuleFile(path, error=said[-1] if said else f"its import ended the process ({done.returncode})")
