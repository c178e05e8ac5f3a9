"""`python -P -m plugmesh.cli.authoring.trial TRIAL`: runs an author's modules once, in a process of its own, and ends.

What the author's code prints goes where this process's output goes; with `as_json` to stderr, and one JSON document
with the outputs to stdout.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rich.text import Text

from module_sdk.decorator import Module
from module_sdk.executor.failure import step_error
from module_sdk.family import die_with_parent
from module_sdk.files import File
from module_sdk.loading import load_file, modules_in
from module_sdk.testing import run
from module_sdk.trace import import_failure
from plugmesh.cli.amounts import bytes_text, rows_text, seconds_text
from plugmesh.cli.authoring.sample import inputs_for, params_for
from plugmesh.cli.console import cell_text, cells, make_console, table
from plugmesh.cli.exits import ExitCode
from plugmesh.cli.terminal_text import brief, one_line, plain
from plugmesh.data.types import type_name
from plugmesh.errors import ConfigurationError, NotFound, PlugmeshError

ROWS_SHOWN = 10
_COLUMNS_NAMED = 20


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
        return [sys.executable, "-P", "-m", __name__ if __name__ != "__main__" else _NAME, self.encode()]


_NAME = "plugmesh.cli.authoring.trial"


class _Printer:
    """Prints what modules return; the author's own output may go elsewhere."""

    def __init__(self, as_json: bool) -> None:
        self._documents: list[dict[str, Any]] | None = [] if as_json else None
        self._out = os.dup(1)
        if as_json:
            os.dup2(2, 1)
        self._console = make_console()

    def made(self, module: Module[..., Any], outputs: Mapping[str, Any], seconds: float) -> None:
        """What a module returned."""
        if self._documents is not None:
            documents = {name: _document(value) for name, value in outputs.items()}
            self._documents.append({"module": module.contract.ref, "seconds": round(seconds, 6), "outputs": documents})
            return
        took = f"{module.contract.ref} took {seconds_text(seconds)}"
        self._console.print(Text(took, style="bold green"))
        for name, value in outputs.items():
            self._show(name, value)

    def failed(self, module: Module[..., Any], error: BaseException) -> None:
        """Why a module returned nothing."""
        found = step_error(error, module.contract.ref, module.file, module.signature.place.line)
        if self._documents is not None:
            self._documents.append({"module": module.contract.ref, "error": found.model_dump(mode="json")})
        where = f"{found.where}: " if found.where else ""
        said = Text(plain(f"{where}{found.type}: {found.message}"), style="bold red")
        console = make_console(stderr=True)
        console.print(said, soft_wrap=True)
        if found.traceback:
            console.print(Text(plain(found.traceback)), soft_wrap=True)

    def close(self) -> None:
        """Write the document, if one was asked for."""
        sys.stdout.flush()
        if self._documents is not None:
            with os.fdopen(self._out, "w", encoding="utf-8") as out:
                out.write(json.dumps({"trials": self._documents}, ensure_ascii=False, default=str) + "\n")

    def _show(self, name: str, value: Any) -> None:
        if not hasattr(value, "to_pylist"):
            what = f"{value.name}, {bytes_text(value.bytes)}" if isinstance(value, File) else cell_text(value)
            self._console.print(Text(brief(f"{name}: {what}")))
            return
        columns = ", ".join(f"{column.name} {type_name(column.type)}" for column in list(value.schema)[:_COLUMNS_NAMED])
        self._console.print(Text(one_line(f"{name}: {rows_text(value.num_rows)} ({columns})")))
        made = table(*value.column_names)
        for row in value.slice(0, ROWS_SHOWN).to_pylist():
            made.add_row(*cells(*(brief(cell_text(row.get(column))) for column in value.column_names)))
        self._console.print(made)
        if value.num_rows > ROWS_SHOWN:
            self._console.print(Text(f"… and {value.num_rows - ROWS_SHOWN:,} more rows", style="dim"))


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
    printer = _Printer(trial.as_json)
    try:
        modules = _modules(trial)
        codes = [_try(trial, module, printer) for module in modules]
    except PlugmeshError as error:
        print(plain(f"plugmesh: {error}"), file=sys.stderr)
        return ExitCode.NOT_FOUND if isinstance(error, NotFound) else ExitCode.USAGE
    except _Broken as error:
        print(plain(str(error)), file=sys.stderr)
        return ExitCode.RUN_FAILED
    finally:
        printer.close()
    return max(codes)


class _Broken(Exception):
    """The author's file cannot be imported."""


def _modules(trial: Trial) -> list[Module[..., Any]]:
    try:
        found = modules_in(load_file(str(Path(trial.file).resolve())))
    except PlugmeshError:
        raise
    except Exception as error:
        raise _Broken(import_failure(error, trial.file)) from error
    wanted = [module for module in found if trial.module in {"", module.contract.name, module.contract.ref}]
    if not wanted:
        there = ", ".join(module.contract.ref for module in found) or "none: decorate a function with @module"
        raise ConfigurationError(f"{trial.file} has no module {trial.module}".rstrip() + f"; it has {there}")
    return wanted


def _try(trial: Trial, module: Module[..., Any], printer: _Printer) -> int:
    params = params_for(module.contract, trial.params)
    inputs = inputs_for(module.contract, trial.inputs, params)
    begun = time.perf_counter()
    try:
        returned = run(module, inputs, **params)
    except (Exception, SystemExit) as error:  # noqa: BLE001  whatever the author's code raises is what is to be shown
        sys.stdout.flush()
        printer.failed(module, error)
        return ExitCode.RUN_FAILED
    seconds = time.perf_counter() - begun
    sys.stdout.flush()
    names = [port.name for port in module.contract.outputs]
    printer.made(module, returned if len(names) > 1 else dict.fromkeys(names, returned), seconds)
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


def _document(value: Any) -> Any:
    if hasattr(value, "to_pylist"):
        columns = [{"name": column.name, "type": type_name(column.type)} for column in value.schema]
        return {"rows": value.num_rows, "columns": columns, "first": value.slice(0, ROWS_SHOWN).to_pylist()}
    return {"name": value.name, "bytes": value.bytes} if isinstance(value, File) else {"value": value}


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(ExitCode.INTERRUPTED)
