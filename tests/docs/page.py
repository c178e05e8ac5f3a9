"""Runs one documentation page from top to bottom, as a reader would who types everything it shows."""

import json
import re
import sys
import tomllib
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from ruamel.yaml import YAML

from plugmesh.flows.parse import parse_flow_text
from tests.docs.blocks import Block, Command, blocks_of, commands_of
from tests.docs.terminal import Terminal
from tests.waiting import wait_until_sync

SHOWN_ONLY = {"text", "mermaid"}
_ADDRESS = re.compile(r"(?:127\.0\.0\.1|localhost):8720")
_MODULE_NAME = re.compile(r"@module\(\s*[\"']([^\"']+)")
_RUN_AS_IMPORTED = "import runpy, sys; sys.path.insert(0, '.'); runpy.run_path(sys.argv[1], run_name='page')"


class PageError(Exception):
    """A block did not do what the page says; the message begins with the page's file and line."""


class Page:
    """One page's folder, its mesh (started when first needed, on `port`) and what it left running."""

    def __init__(self, path: Path, folder: Path, port: int) -> None:
        self._path, self._folder, self._port = path, folder, port
        self._url = f"http://127.0.0.1:{port}"
        self._mesh_is_up = False
        self._terminal = Terminal(folder, self._url)

    def run(self) -> None:
        """Run every block. Raises PageError at the first that fails."""
        for block in blocks_of(self._path.read_text()):
            self._run_block(block)

    def close(self) -> None:
        """End what the page started."""
        self._terminal.close()

    def _run_block(self, block: Block) -> None:
        if block.language in SHOWN_ONLY:
            return
        if block.file:
            (self._folder / block.file).parent.mkdir(parents=True, exist_ok=True)
            (self._folder / block.file).write_text(self._here(block.text))
        match block.language:
            case "python":
                self._run_python(block)
            case "console" | "sh":
                for command in commands_of(block):
                    self._run_command(command)
            case "yaml" | "json" | "toml":
                self._parse(block)
            case language:
                raise self._error(
                    block.line, f"a block of {language or 'no language'} cannot be checked; if it is only shown: text"
                )

    def _here(self, text: str) -> str:
        """Docs name the default address; this page's mesh has another port."""
        return _ADDRESS.sub(f"127.0.0.1:{self._port}", text)

    def _run_python(self, block: Block) -> None:
        if _ADDRESS.search(block.text):
            self._need_mesh(block.line)
        if block.file:
            arguments = ["-c", _RUN_AS_IMPORTED, block.file]
        else:
            script = self._folder / f"line_{block.line}.py"
            script.write_text(self._here(block.text))
            arguments = [script.name]
        done = self._terminal.finish([sys.executable, *arguments])
        if done.returncode != 0:
            raise self._error(block.line, f"the python block failed\n{done.stdout}")

    def _parse(self, block: Block) -> None:
        try:
            match block.language:
                case "json":
                    json.loads(block.text)
                case "toml":
                    tomllib.loads(block.text)
                case _:
                    data = YAML(typ="safe", pure=True).load(block.text)
                    if isinstance(data, dict) and "flow" in data:
                        check_flow(block.text)
        except Exception as error:
            raise self._error(block.line, f"the {block.language} block is not valid: {error}") from error

    def _run_command(self, command: Command) -> None:
        text = self._here(command.text).removesuffix("&").rstrip()  # what serves is left running anyway
        words = text.split()
        program, arguments = Path(words[0]).name, words[1:]
        if program == "plugmesh" and arguments[:1] == ["up"]:
            return self._start_mesh(command.line, text)
        if program == "plugmesh" or _ADDRESS.search(command.text):
            self._need_mesh(command.line)
        if self._serves_a_module(program, arguments):
            return self._serve(command.line, text, arguments)
        done = self._terminal.finish(["bash", "-euo", "pipefail", "-c", text])
        if done.returncode != command.exit_code:
            raise self._error(
                command.line,
                f"$ {text}\nexit code {done.returncode}, not {command.exit_code}\n{done.stdout}{self._terminal.logs()}",
            )
        return None

    def _serves_a_module(self, program: str, arguments: list[str]) -> bool:
        if program == "plugmesh":
            return arguments[:2] in (["module", "serve"], ["module", "dev"]) and "--help" not in arguments
        script = self._folder / arguments[0] if arguments else self._folder
        return program.startswith("python") and script.is_file() and "serve(" in script.read_text()

    def _serve(self, line: int, text: str, arguments: list[str]) -> None:
        """Left running; the next command is run when the mesh lists the modules of the file."""
        process = self._terminal.start(text)
        script = self._folder / next(argument for argument in arguments if argument.endswith(".py"))
        names = _MODULE_NAME.findall(script.read_text())

        def listed() -> bool:
            if process.poll() is not None:
                raise self._error(
                    line, f"$ {text}\nended with {process.returncode} instead of serving{self._terminal.logs()}"
                )
            said = self._modules()
            return all(f'"{name}"' in said for name in names)

        self._wait(listed, line, f"$ {text}: {', '.join(names)} did not appear in `plugmesh modules`")

    def _modules(self) -> str:
        """What `plugmesh modules --json` answers; asked directly where no token is needed, for a process takes long."""
        try:
            with urllib.request.urlopen(f"{self._url}/api/v1/modules", timeout=20) as answer:
                return str(answer.read().decode())
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return self._terminal.finish(["plugmesh", "modules", "--json"]).stdout

    def _need_mesh(self, line: int) -> None:
        if not self._mesh_is_up:
            self._start_mesh(line, "plugmesh up")

    def _start_mesh(self, line: int, text: str) -> None:
        if self._mesh_is_up:
            return  # the reader started it further up the page
        if "--data" not in text:
            text += f" --data {self._folder / 'plugmesh-data'}"
        process = self._terminal.start(f"{text} --port {self._port}")

        def ready() -> bool:
            if process.poll() is not None:
                raise self._error(line, f"$ {text}\nended with {process.returncode}{self._terminal.logs()}")
            try:
                with urllib.request.urlopen(f"{self._url}/readyz", timeout=5) as answer:
                    return bool(answer.status == 200)
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                return False

        self._wait(ready, line, f"$ {text}: the mesh was not ready")
        self._mesh_is_up = True

    def _wait(self, predicate: Callable[[], bool], line: int, message: str) -> None:
        try:
            wait_until_sync(predicate, within_s=60)
        except AssertionError as error:
            raise self._error(line, f"{message}{self._terminal.logs()}") from error

    def _error(self, line: int, message: str) -> PageError:
        return PageError(f"{self._path}:{line}: {message}")


def check_flow(text: str) -> None:
    """Raise ValueError with all problems that the project's own parser finds."""
    parsed = parse_flow_text(text)
    if parsed.flow is None:
        raise ValueError("\n".join(str(problem) for problem in parsed.problems))
