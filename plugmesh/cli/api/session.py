"""What all client commands share: the mesh that they talk to, how they answer, and what their errors become."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn
from rich.text import Text

from plugmesh.cli.api.client import MeshClient, Refusal
from plugmesh.cli.display.console import make_console
from plugmesh.cli.display.terminal_text import one_line, plain
from plugmesh.cli.exits import ExitCode
from plugmesh.errors import ConfigurationError, FlowInvalid, NotFound, NotReachable, PlugmeshError
from plugmesh.runtime import SystemRuntime

_CODES = {
    "not-found": ExitCode.NOT_FOUND,
    **dict.fromkeys(("state-unavailable", "busy", "stopping"), ExitCode.NOT_REACHABLE),
}


class Session:
    """One command. As a context manager it turns errors of Plugmesh into a message and an exit code."""

    def __init__(self, url: str, as_json: bool, *, flow_file: str = "flow") -> None:
        self.as_json = as_json
        self.runtime = SystemRuntime()
        self.console = make_console()
        self._errors = make_console(stderr=True)
        self._flow_file = flow_file
        self._url = url
        self.client: MeshClient

    def __enter__(self) -> Self:
        try:
            self.client = MeshClient(self._url, self.runtime)
        except ConfigurationError as error:
            self._fail(error)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.client.__exit__(kind, error, trace)
        if isinstance(error, PlugmeshError):
            self._fail(error)

    def answer(self, document: Any, show: Callable[[], None]) -> None:
        """Print the document as JSON if that was asked for, else whatever `show` prints."""
        if self.as_json:
            print(json.dumps(document, ensure_ascii=False))
        else:
            show()

    def say(self, text: str, style: str = "") -> None:
        """A line for people; nothing with `--json`."""
        if not self.as_json:
            self.console.print(Text(plain(text), style=style))

    def warn(self, text: str) -> None:
        """A line on stderr."""
        self._errors.print(Text(plain(text), style="yellow"))

    def confirm(self, question: str, yes: bool) -> None:
        """Ask before something that cannot be undone, unless `yes` was given. Raises `ConfigurationError` where nobody
        can be asked, `typer.Exit` when the answer is no."""
        if yes:
            return
        if not sys.stdin.isatty():
            raise ConfigurationError(f"{question} Nobody can be asked here: say --yes")
        if not typer.confirm(plain(question), err=True):
            self.warn("nothing was changed")
            raise typer.Exit(ExitCode.USAGE)

    @contextmanager
    def transferring(self, name: str) -> Iterator[Callable[[int, int | None], None]]:
        """A function to tell how many bytes were moved, and of how many: a bar on a terminal, nothing elsewhere."""
        if self.as_json or not self._errors.is_terminal:
            yield lambda done, whole: None
            return
        text = TextColumn(one_line(name), markup=False)
        columns = (text, BarColumn(), DownloadColumn(), TransferSpeedColumn())
        with Progress(*columns, console=self._errors, transient=True) as progress:
            task = progress.add_task("", total=None)
            yield lambda done, whole: progress.update(task, completed=done, total=whole)

    def warnings(self, problems: Sequence[dict[str, Any]]) -> None:
        """The warnings of a flow, with their places."""
        for problem in problems:
            self.warn(problem_line(problem, self._flow_file))

    def _fail(self, error: PlugmeshError) -> None:
        problems = getattr(error, "problems", ())
        if self.as_json:
            document = {"code": error.code, "message": str(error), "problems": list(problems)}
            print(json.dumps({"error": document}, ensure_ascii=False), file=sys.stderr)
        elif problems:
            for problem in problems:
                self._errors.print(Text(plain(problem_line(problem, self._flow_file)), style="red"))
        else:
            self._errors.print(Text(plain(f"plugmesh: {error}"), style="red"))
        raise typer.Exit(exit_code(error)) from error


def exit_code(error: PlugmeshError) -> ExitCode:
    """What a command that ends with this error exits with."""
    if isinstance(error, NotReachable):
        return ExitCode.NOT_REACHABLE
    if isinstance(error, Refusal):
        return _CODES.get(error.code, ExitCode.USAGE if error.status < 500 else ExitCode.RUN_FAILED)
    if isinstance(error, NotFound):
        return ExitCode.NOT_FOUND
    return ExitCode.USAGE if isinstance(error, ConfigurationError | FlowInvalid) else ExitCode.RUN_FAILED


def problem_line(problem: dict[str, Any], file: str) -> str:
    """One problem of a flow or a request as people and editors read it."""
    hint = f" ({problem['hint']})" if problem.get("hint") and problem["hint"] not in problem["message"] else ""
    if "where" in problem:
        return f"{problem['where']}: {problem['message']}{hint}"
    place = f"{file}:{problem['line']}:{problem['column']}" if problem.get("line") else file
    return f"{place}: {problem.get('severity', 'error')}: {problem['message']}{hint}"
