"""What modules returned in a trial or a replay, for people or as one JSON document."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from typing import Any

from rich.text import Text

from module_sdk.decorator import Module
from module_sdk.executor.failure import step_error
from module_sdk.files import File
from module_sdk.testing import Reported
from plugmesh.cli.display.amounts import bytes_text, rows_text, seconds_text
from plugmesh.cli.display.console import cell_text, make_console, print_rows
from plugmesh.cli.display.terminal_text import brief, one_line, plain
from plugmesh.data.types import type_name

SAME = "the same as the accepted output"
ROWS_SHOWN = 10
_COLUMNS_NAMED = 20


class Printer:
    """Prints what modules return; the author's own output may go elsewhere."""

    def __init__(self, as_json: bool) -> None:
        self._documents: list[dict[str, Any]] | None = [] if as_json else None
        self._out = os.dup(1)
        if as_json:
            os.dup2(2, 1)
        self._console = make_console()

    def made(
        self,
        module: Module[..., Any],
        outputs: Mapping[str, Any],
        seconds: float,
        compared: Mapping[str, str] | None = None,
        reported: Reported | None = None,
    ) -> None:
        """What a module returned; `compared` says of each output how it differs from the accepted one, `reported` what
        the module said besides."""
        if self._documents is not None:
            documents = {name: _document(value) for name, value in outputs.items()}
            for name, found in (compared or {}).items():
                documents[name]["accepted"] = found
            document = {"module": module.contract.ref, "seconds": round(seconds, 6), "outputs": documents}
            self._documents.append(document if reported is None else {**document, **_reports(reported)})
            return
        took = f"{module.contract.ref} took {seconds_text(seconds)}"
        self._console.print(Text(took, style="bold green"))
        for name, value in outputs.items():
            self._show(name, value)
            verdict = (compared or {}).get(name)
            if verdict is not None:
                self._console.print(Text(one_line(verdict), style="green" if verdict == SAME else "yellow"))

        if reported is not None:
            self._show_reports(reported)

    def _show_reports(self, reported: Reported) -> None:
        if reported.rows_failed:
            self._console.print(Text(f"rejected: {rows_text(reported.rows_failed)}", style="yellow"))
        if reported.rejected is not None:
            print_rows(
                self._console, reported.rejected.column_names, reported.rejected.slice(0, ROWS_SHOWN).to_pylist()
            )
        for name, file in reported.artifacts.items():
            self._console.print(Text(one_line(f"artifact: {name}, {bytes_text(file.bytes)}")))

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
        print_rows(self._console, value.column_names, value.slice(0, ROWS_SHOWN).to_pylist())
        if value.num_rows > ROWS_SHOWN:
            self._console.print(Text(f"… and {value.num_rows - ROWS_SHOWN:,} more rows", style="dim"))


def _document(value: Any) -> Any:
    if hasattr(value, "to_pylist"):
        columns = [{"name": column.name, "type": type_name(column.type)} for column in value.schema]
        return {"rows": value.num_rows, "columns": columns, "first": value.slice(0, ROWS_SHOWN).to_pylist()}
    return {"name": value.name, "bytes": value.bytes} if isinstance(value, File) else {"value": value}


def _reports(reported: Reported) -> dict[str, Any]:
    artifacts = [{"name": name, "bytes": file.bytes} for name, file in reported.artifacts.items()]
    rejected = None if reported.rejected is None else _document(reported.rejected)
    return {"rows_failed": reported.rows_failed, "rejected": rejected, "artifacts": artifacts}
