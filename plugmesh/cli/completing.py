"""What may stand in the place of the last word of a command line. It answers quickly, or with less, and never with an
error: a shell is waiting."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from itertools import pairwise
from typing import Any

from plugmesh.cli.api.routes import at, step_at
from plugmesh.cli.display.terminal_text import one_line
from plugmesh.cli.options import DEFAULT_URL

ASK_S = 0.3
"""The mesh has so long to answer."""
FILES = ":files"
_MOST = 100
_SAFE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./@:+=-]{0,250}")
"""What a name from the mesh may have in it: a shell gets to see it."""

Ask = Callable[[str], Any]
"""Asks the mesh for the document at a path below its API."""
Found = Iterator[tuple[str, str]]


@dataclass(slots=True)
class Typed:
    """A command line as far as it is understood: the command, its path, the values that were given, what comes next."""

    command: Any
    path: list[str] = field(default_factory=list)
    values: dict[str, str] = field(default_factory=dict)
    arguments: list[Any] = field(default_factory=list)
    expects: Any = None


def complete(root: Any, words: Sequence[str], ask: Ask) -> Iterator[str]:
    """Lines of `word TAB help`, or `:files` where a file's name is wanted. `root` is the whole command."""
    *before, last = words or [""]
    typed = read(root, before)
    found = _candidates(typed, last, ask)
    for count, (word, about) in enumerate(pair for pair in found if pair[0].startswith(last) or pair[0] == FILES):
        if count == _MOST:
            return
        yield FILES if word == FILES else f"{word}\t{one_line(about)[:80]}"


def read(root: Any, words: Sequence[str]) -> Typed:
    """Understand the words before the last one. Raises `KeyError` for a command that is not there."""
    typed = Typed(root, arguments=_arguments(root))
    for word in words:
        if typed.expects is not None:
            typed.values[str(typed.expects.name)] = word
            typed.expects = None
        elif word.startswith("-"):
            option = _options(typed.command).get(word)
            typed.expects = option if option is not None and not option.is_flag else None
        elif _is_group(typed.command):
            typed.command = typed.command.commands[word]
            typed.path.append(word)
            typed.arguments = _arguments(typed.command)
        elif typed.arguments:
            argument = typed.arguments[0] if typed.arguments[0].nargs == -1 else typed.arguments.pop(0)
            typed.values[str(argument.name)] = word
    return typed


def _candidates(typed: Typed, last: str, ask: Ask) -> Found:
    if typed.expects is not None:
        yield from _values(typed, typed.expects, ask)
    elif last.startswith("-"):
        yield from ((name, option.help or "") for name, option in _options(typed.command).items() if name[:2] == "--")
    elif _is_group(typed.command):
        for name, command in typed.command.commands.items():
            yield name, (command.help or "").partition("\n")[0]
    elif typed.arguments:
        yield from _values(typed, typed.arguments[0], ask)


def _values(typed: Typed, param: Any, ask: Ask) -> Found:
    choices = _choices(param)
    if choices:
        yield from ((choice, "") for choice in choices)
        return
    for group in (typed.path[0] if typed.path else "", ""):
        names = _NAMES.get((group, str(param.name)))
        if names is not None:
            with suppress(Exception):  # whatever the mesh answers, or whether it does: there is just nothing to offer
                for word, about in names(ask, typed.values):
                    if _SAFE.fullmatch(word):
                        yield word, about
            break
    else:
        names = None
    if names is None or (typed.path and typed.path[0] == "run" and param.name == "flow"):
        yield FILES, ""


def _runs(ask: Ask, given: Mapping[str, str]) -> Found:
    return ((run["id"], f"{run['flow']} {run['state']}") for run in ask("/runs?limit=50")["runs"])


def _steps(ask: Ask, given: Mapping[str, str]) -> Found:
    return ((step["id"], step["state"]) for step in ask(at("runs", given["run"]))["steps"])


def _ports(ask: Ask, given: Mapping[str, str]) -> Found:
    return ((port, "") for port in ask(step_at(given["run"], given["step"]))["outputs"])


def _modules(ask: Ask, given: Mapping[str, str]) -> Found:
    return ((module["name"], module["doc"] or module["title"]) for module in ask("/modules")["modules"])


def _instances(ask: Ask, given: Mapping[str, str]) -> Found:
    return ((one["id"], one["host"]) for one in ask("/instances")["instances"])


def _flows(ask: Ask, given: Mapping[str, str]) -> Found:
    found = ask("/flows")["flows"]
    return ((f"{one['namespace']}/{one['name']}", f"revision {one['revision']}") for one in found)


def _files(ask: Ask, given: Mapping[str, str]) -> Found:
    return ((one["name"], "") for one in ask("/files")["files"])


def _settings(ask: Ask, given: Mapping[str, str]) -> Found:
    return ((one["name"], one.get("doc") or "") for one in ask("/settings")["settings"])


def _notifications(ask: Ask, given: Mapping[str, str]) -> Found:
    return ((one["id"], one["state"]) for one in ask("/notifications")["notifications"])


_NAMES: Mapping[tuple[str, str], Callable[[Ask, Mapping[str, str]], Found]] = {
    ("", "run"): _runs,
    ("", "runs"): _runs,
    ("", "step"): _steps,
    ("", "port"): _ports,
    ("rerun", "from_steps"): _steps,
    ("rerun", "only"): _steps,
    ("", "instance"): _instances,
    ("", "module"): _modules,
    ("", "notification"): _notifications,
    ("modules", "name"): _modules,
    ("module", "name"): _modules,
    ("flows", "name"): _flows,
    ("files", "name"): _files,
    ("settings", "name"): _settings,
    ("run", "flow"): _flows,
    ("runs", "flow"): _flows,
}
"""What the mesh knows, by command and parameter; "" stands for every command."""


def _choices(param: Any) -> list[str]:
    """The words that a parameter may be, if they are listed. (The library keeps its type in one place or another.)"""
    kind = getattr(getattr(param, "type_descriptor", None), "annotation", None)
    given = (
        kind
        if isinstance(kind, type) and issubclass(kind, Enum)
        else getattr(getattr(param, "type", None), "choices", ())
    )
    return [str(getattr(choice, "value", choice)) for choice in given]


def _is_group(command: Any) -> bool:
    return hasattr(command, "commands")


def _arguments(command: Any) -> list[Any]:
    return [param for param in command.params if param.param_type_name == "argument"]


def _options(command: Any) -> dict[str, Any]:
    options = [param for param in command.params if param.param_type_name == "option" and not param.hidden]
    return {name: option for option in options for name in (*option.opts, *option.secondary_opts)}


def url_in(words: Sequence[str]) -> str:
    """The mesh that the command line, or the environment, names."""
    pairs = pairwise(words)
    return next((url for option, url in pairs if option == "--url"), os.environ.get("PLUGMESH_URL", DEFAULT_URL))


def within(seconds: float, function: Callable[[], Any]) -> Any:
    """What a function returns; `TimeoutError` if that takes longer, and then it is left to itself."""
    outcome: list[Any] = []

    def work() -> None:
        with suppress(Exception):
            outcome.append(function())

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(seconds)
    if not outcome:
        raise TimeoutError
    return outcome[0]


def answer(words: Sequence[str]) -> None:
    """Print what a shell asked for."""
    from typer.main import get_command  # noqa: PLC0415  a shell waits: what is not needed is not imported

    from plugmesh.cli.api.client import MeshClient  # noqa: PLC0415  as above
    from plugmesh.cli.app import whole_app  # noqa: PLC0415  as above
    from plugmesh.runtime import SystemRuntime  # noqa: PLC0415  as above

    def ask(path: str) -> Any:
        client = MeshClient(url_in(words), SystemRuntime(), timeout_s=ASK_S)
        return within(ASK_S, lambda: client.get(path))

    with suppress(Exception):
        for line in complete(get_command(whole_app()), words, ask):
            print(line)
