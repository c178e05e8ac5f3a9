"""`python -P -m plugmesh.cli.commands.authoring.trial TRIAL`: runs an author's modules once, in a process of its own, and ends.

What the author's code prints goes where this process's output goes; with `as_json` to stderr, and one JSON document
with the outputs to stdout.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from module_sdk.decorator import Module
from module_sdk.family import die_with_parent
from module_sdk.loading import load_file, modules_in
from module_sdk.testing import Reported, run
from module_sdk.trace import import_failure
from plugmesh.cli.commands.authoring.printing import Printer
from plugmesh.cli.commands.authoring.sample import inputs_for, params_for
from plugmesh.cli.display.terminal_text import plain
from plugmesh.cli.exits import ExitCode
from plugmesh.errors import ConfigurationError, NotFound, PlugmeshError

_NAME = "plugmesh.cli.commands.authoring.trial"


@dataclass(frozen=True, slots=True)
class Trial:
    """What to run. `inputs` are as on the command line: `port` → path, `port:` → JSON. Without `module`: all of the
    file's. `report` is a file descriptor that is told which files were imported."""

    file: str
    module: str = ""
    inputs: Mapping[str, str] = field(default_factory=dict)
    params: Mapping[str, str] = field(default_factory=dict)
    as_json: bool = False
    report: int = -1

    def encode(self) -> str:
        """As one word of a command line."""
        return json.dumps(asdict(self))

    @classmethod
    def decode(cls, text: str) -> Trial:
        """From what `encode` made."""
        return cls(**json.loads(text))

    def command(self) -> list[str]:
        """The command line that runs it."""
        return [sys.executable, "-P", "-m", _NAME, self.encode()]


def main() -> int:
    """Run one trial; the exit code."""
    trial = Trial.decode(sys.argv[1])
    die_with_parent(os.getppid())
    sys.path.insert(0, str(Path(trial.file).resolve().parent))
    try:
        return _run(trial)
    finally:
        if trial.report >= 0:
            os.write(trial.report, "\0".join(local_files(trial.file)).encode(errors="surrogateescape"))


def _run(trial: Trial) -> int:
    printer = Printer(trial.as_json)
    return exit_code(
        lambda: max([_try(trial, one, printer) for one in load_modules(trial.file, trial.module)]), printer
    )


def exit_code(work: Callable[[], int], printer: Printer) -> int:
    """The exit code of `work`. What is wrong with the file or with what it was given is said on stderr."""
    try:
        return work()
    except PlugmeshError as error:
        print(plain(f"plugmesh: {error}"), file=sys.stderr)
        return ExitCode.NOT_FOUND if isinstance(error, NotFound) else ExitCode.USAGE
    except Broken as error:
        print(plain(str(error)), file=sys.stderr)
        return ExitCode.RUN_FAILED
    finally:
        printer.close()


class Broken(Exception):
    """The author's file cannot be imported; the message says where and why."""


def load_modules(file: str, wanted: str = "") -> list[Module[..., Any]]:
    """The modules of a file, or the one that is wanted: `name` or `name@version`. Raises `Broken`,
    `ConfigurationError`."""
    try:
        found = modules_in(load_file(str(Path(file).resolve())))
    except PlugmeshError:
        raise
    except Exception as error:
        raise Broken(import_failure(error, file)) from error
    chosen = [module for module in found if wanted in {"", module.contract.name, module.contract.ref}]
    if not chosen:
        there = ", ".join(module.contract.ref for module in found) or "none: decorate a function with @module"
        raise ConfigurationError(f"{file} has no module {wanted}".rstrip() + f"; it has {there}")
    return chosen


def _try(trial: Trial, module: Module[..., Any], printer: Printer) -> int:
    params = params_for(module.contract, trial.params)
    inputs = inputs_for(module.contract, trial.inputs, params)
    begun, said = time.perf_counter(), Reported()
    try:
        returned = run(module, inputs, said, **params)
    except (Exception, SystemExit) as error:  # noqa: BLE001  whatever the author's code raises is what is to be shown
        sys.stdout.flush()
        printer.failed(module, error)
        return ExitCode.RUN_FAILED
    seconds = time.perf_counter() - begun
    sys.stdout.flush()
    names = [port.name for port in module.contract.outputs]
    outputs = returned if len(names) > 1 else dict.fromkeys(names, returned)
    printer.made(module, outputs, seconds, reported=said)
    return ExitCode.OK


def local_files(file: str) -> list[str]:
    """The author's file and what was imported from its folder, or from folders in that."""
    folder = Path(file).resolve().parent
    found = {str(Path(file).resolve())}
    for module in list(sys.modules.values()):
        source = getattr(module, "__file__", None)
        if isinstance(source, str) and source.endswith(".py") and not _is_installed(source):
            path = Path(source).resolve()
            if path.is_relative_to(folder):
                found.add(str(path))
    return sorted(found)


def _is_installed(source: str) -> bool:
    return "site-packages" in Path(source).parts or Path(source).is_relative_to(sys.prefix)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(ExitCode.INTERRUPTED)
