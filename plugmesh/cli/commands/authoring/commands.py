"""`plugmesh module new|test|dev`: what they do."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.text import Text

from plugmesh.cli.api.flowfile import pairs
from plugmesh.cli.commands.authoring.template import Frame, Kind, new_module
from plugmesh.cli.commands.authoring.trial import Trial
from plugmesh.cli.commands.authoring.watching import Watched, trial_until
from plugmesh.cli.display.console import make_console
from plugmesh.cli.display.terminal_text import one_line, plain
from plugmesh.cli.exits import ExitCode
from plugmesh.errors import ConfigurationError, NotFound

_PYTEST_NOISE = "ignore:The configuration option"
"""Plugins warn that an author's folder configures nothing for them; that is no matter of the module."""
_PYTEST_CODES = {0: ExitCode.OK, 1: ExitCode.RUN_FAILED, 2: ExitCode.INTERRUPTED}


def write_new(name: str, kind: Kind, frame: Frame, folder: Path) -> dict[str, Any]:
    """Write a module and its test. Raises `ConfigurationError` if one of the files is there already."""
    new = new_module(name, kind, frame)
    file, test = folder / f"{new.function}.py", folder / f"test_{new.function}.py"
    for path in (file, test):
        if path.exists():
            raise ConfigurationError(f"{path} is there already, and was not touched: choose another name, or --folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, text in ((file, new.text), (test, new.test)):
            with path.open("x", encoding="utf-8") as out:
                out.write(text)
    except OSError as error:
        raise ConfigurationError(f"{error.filename or folder} cannot be written: {error.strerror}") from error
    return {"module": name, "file": str(file), "test": str(test)}


def run_tests(trial: Trial, words: str | None, test: Path | None) -> int:
    """Run the test of a module with pytest, or else the module on a sample; the exit code. Raises `NotFound`."""
    file = _there(trial.file)
    found = test if test is not None else test_file_of(file)
    if test is not None:
        _there(str(test))
    sampled = trial.inputs or trial.params or trial.module or trial.as_json
    if found is None or (sampled and test is None):
        return subprocess.run(trial.command(), check=False, env=_environment(file)).returncode
    if importlib.util.find_spec("pytest") is None:
        print(f"plugmesh: {found} needs pytest (pip install pytest); running the module on a sample", file=sys.stderr)
        return subprocess.run(trial.command(), check=False, env=_environment(file)).returncode
    command = [sys.executable, "-P", "-W", _PYTEST_NOISE, "-m", "pytest", "-q", str(found)]
    command += [] if words is None else ["-k", words]
    code = subprocess.run(command, check=False, env=_environment(file)).returncode
    return _PYTEST_CODES.get(code, ExitCode.USAGE)


def test_file_of(file: Path) -> Path | None:
    """The test beside a module's file, or in `tests` there; `None` if there is none."""
    name = f"test_{file.name}"
    return next((path for path in (file.with_name(name), file.parent / "tests" / name) if path.is_file()), None)


def develop(trial: Trial) -> int:
    """Run a module on a sample each time that its file, one that it imports, or a file of the sample is saved.

    Does not return; Ctrl-C ends it.
    """
    file = _there(trial.file)
    console = make_console()
    inputs = [path for port, path in trial.inputs.items() if not port.endswith(":")]
    watched = Watched([str(file), *inputs])
    while True:
        now = datetime.now().astimezone().strftime("%H:%M:%S")
        console.print(Text(one_line(f"── {file.name} at {now} ──"), style="bold"))
        files = trial_until(trial, watched, _environment(file))
        watched.add(files)
        others = len(watched) - 1
        more = f" and {others} more file{'s' if others != 1 else ''}" if others else ""
        console.print(Text(plain(f"watching {file.name}{more}: save to run again, Ctrl-C to end"), style="dim"))
        changed = watched.wait()
        console.print()
        console.print(Text(plain(f"{', '.join(Path(path).name for path in changed)} changed"), style="dim"))


def trial_of(file: Path, *, module: str, inputs: Sequence[str], params: Sequence[str], as_json: bool = False) -> Trial:
    """What the command line asks for. Raises `ConfigurationError`."""
    given = {
        name: value if name.endswith(":") else str(Path(value)) for name, value in pairs(inputs, "--input").items()
    }
    return Trial(str(file), module, given, pairs(params, "--param"), as_json)


def _there(file: str) -> Path:
    path = Path(file)
    if not path.is_file():
        raise NotFound(f"there is no file {file}")
    return path


def _environment(file: Path) -> dict[str, str]:
    """This process's environment, with the module's folder where Python looks for what is imported."""
    folders = [str(file.resolve().parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(folders), "PYTHONUNBUFFERED": "1"}
