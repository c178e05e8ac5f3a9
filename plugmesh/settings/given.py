"""Where settings are given: a file, the environment, the command line. What is wrong anywhere is told all at once."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from plugmesh.flows.problem import did_you_mean
from plugmesh.private_file import SHARED
from plugmesh.settings.kinds import SECRET
from plugmesh.settings.settings import Settings, SettingsInvalid, marks, variable
from plugmesh.settings.table import Table

FILE_NAME = "plugmesh.toml"
"""In the data folder."""
FILE_VARIABLE = "PLUGMESH_SETTINGS"
DATA_VARIABLE = "PLUGMESH_DATA"

OTHER_VARIABLES: Mapping[str, str] = {
    FILE_VARIABLE: "the settings file of `plugmesh up` (`--settings`)",
    DATA_VARIABLE: "the data folder of `plugmesh up` (`--data`), where other commands look for its token",
    "PLUGMESH_URL": "the mesh, for commands and modules (`--url`)",
    "PLUGMESH_TOKEN": "the token, for commands and modules",
    "PLUGMESH_TOKEN_FILE": "a file with the token, for commands and modules",
    "PLUGMESH_RUNTIME": "another clock, for tests of Plugmesh itself",
    "PLUGMESH_CHILD": "set by a server for the processes that it starts",
}
"""Variables that are no settings of a server."""
TEST_PREFIX = "PLUGMESH_TEST_"
"""Variables of Plugmesh's own tests."""
_SERVERS_OWN = frozenset({FILE_VARIABLE, DATA_VARIABLE, "PLUGMESH_TOKEN", "PLUGMESH_TOKEN_FILE"})
_PREFIX = "PLUGMESH_"
_AT_LINE = re.compile(r" \(at line (\d+), column (\d+)\)$")


@dataclass(frozen=True, slots=True)
class Given:
    """One value and the place where it stands."""

    name: str
    value: Any
    where: str


@dataclass(frozen=True, slots=True)
class Layer:
    """What one source says. A later layer goes before an earlier one."""

    given: Sequence[Given] = ()
    problems: Sequence[str] = ()


def resolve(layers: Iterable[Layer]) -> Settings:
    """The settings that the layers make together. Raises `SettingsInvalid` with everything that is wrong in any."""
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    problems: list[str] = []
    for layer in layers:
        problems += layer.problems
        for given in layer.given:
            values[given.name], origins[given.name] = given.value, given.where
    try:
        made = Settings.configured(values, origins)
    except SettingsInvalid as error:
        problems += error.problems
    if problems:
        raise SettingsInvalid(tuple(problems))
    return made


def from_environment(environment: Mapping[str, str]) -> Layer:
    """The variables `PLUGMESH_…`. One that is no setting is a problem, unless it is one of `OTHER_VARIABLES`."""
    names = {variable(name): name for name in Table.model_fields}
    given, problems = [], []
    for key, value in sorted(environment.items()):
        if key in names:
            given.append(Given(names[key], value, key))
        elif key.startswith(_PREFIX) and key not in OTHER_VARIABLES and not key.startswith(TEST_PREFIX):
            hint = did_you_mean(key, [*names, *OTHER_VARIABLES])
            problems.append(f"{key}: there is no such variable" + (f" ({hint})" if hint else ""))
    return Layer(given, problems)


def from_options(options: Mapping[str, Any], assignments: Sequence[str] = ()) -> Layer:
    """Options of `plugmesh up` by the name of the setting, and `--set NAME=VALUE` ones."""
    given = [Given(name, value, f"--{name.replace('_', '-')}") for name, value in options.items()]
    problems = []
    for assignment in assignments:
        name, equals, value = assignment.partition("=")
        name = name.strip().replace("-", "_")
        if not equals:
            problems.append(f"--set {name[:60]}: write --set NAME=VALUE")
        elif name not in Table.model_fields:
            problems.append(f"--set {name[:60]}: {_unknown(name)}")
        elif SECRET in marks(name):
            problems.append(f"--set {name}: everybody can read a command line: use {variable(name)} or {FILE_NAME}")
        else:
            given.append(Given(name, value.strip(), f"--set {name}"))
    return Layer(given, problems)


def from_file(path: Path, *, required: bool) -> Layer:
    """A TOML file of `name = value` lines; one that is not there is a problem only if it is `required`."""
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            text = file.read().decode()
    except (FileNotFoundError, NotADirectoryError):  # of a data folder that is a file more is said elsewhere
        return Layer(problems=[f"{path}: there is no such file"] if required else [])
    except (OSError, UnicodeDecodeError) as error:
        return Layer(problems=[f"{path}: it cannot be read ({getattr(error, 'strerror', None) or error})"])
    try:
        document = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        return Layer(problems=[_syntax(path, str(error))])
    layer = _in_document(path, text, document)
    if mode & SHARED and any(SECRET in marks(given.name) for given in layer.given):
        shared = f"{path}: it holds a secret and others can read it: chmod 600 {path}"
        return Layer(layer.given, [*layer.problems, shared])
    return layer


def for_children(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment of processes that run user code: without settings, which may be secret, and without tokens."""
    ours = {variable(name) for name in Table.model_fields} | _SERVERS_OWN
    return {key: value for key, value in environment.items() if key not in ours}


def _in_document(path: Path, text: str, document: Mapping[str, Any]) -> Layer:
    given, problems = [], []
    for name, value in document.items():
        where = f"{path}:{_line(text, name)}"
        if name not in Table.model_fields:
            problems.append(f"{where}: {name[:60]}: {_unknown(name)}")
        else:
            given.append(Given(name, value, where))
    return Layer(given, problems)


def _unknown(name: str) -> str:
    hint = did_you_mean(name, Table.model_fields)
    return "there is no such setting" + (f" ({hint})" if hint else "")


def _line(text: str, name: str) -> int:
    key = re.escape(name)
    found = re.search(rf"^[ \t]*(?:\[+[ \t]*)?[\"']?{key}[\"']?[ \t]*[=.\]]", text, re.MULTILINE)
    return text.count("\n", 0, found.start()) + 1 if found else 1


def _syntax(path: Path, said: str) -> str:
    match = _AT_LINE.search(said)
    return f"{path}:{match[1]}:{match[2]}: {said[: match.start()]}" if match else f"{path}: {said}"


def settings_of(
    environment: Mapping[str, str],
    file: Path | None,
    data: Path,
    options: Mapping[str, Any],
    assignments: Sequence[str] = (),
) -> Settings:
    """A server's settings: built-in < file < environment < command line. Raises `SettingsInvalid`.

    `file` is the one that was named; without, `plugmesh.toml` in the data folder, if there is one.
    """
    named = file or (Path(environment[FILE_VARIABLE]) if environment.get(FILE_VARIABLE) else None)
    path = named or data / FILE_NAME
    return resolve(
        (
            from_file(path, required=named is not None),
            from_environment(environment),
            from_options(options, assignments),
        )
    )
