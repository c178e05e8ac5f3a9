"""The machine: Python, libraries, limits of the system. Facts, and pure checks of them."""

from __future__ import annotations

import re
import resource
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from plugmesh.cli.commands.doctor.check import Check, ok, problem, warning

LEAST_PYTHON = (3, 11)
_REQUIREMENT = re.compile(r"([A-Za-z0-9._-]+)(?:\[[^]]*\])?\s*>=\s*([0-9][0-9.]*)(.*)")
_PARTS = ("", "cli", "server")
LEAST_FILES, ENOUGH_FILES = 256, 1024
LEAST_MAPS = 65_530


@dataclass(frozen=True, slots=True)
class Library:
    """A library: the version that is wanted at least, and the one that is there."""

    name: str
    least: str
    found: str | None


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of the system; `None`: not known, or none."""

    files: int | None = None
    maps: int | None = None
    processes: int | None = None


def check_python(version: tuple[int, int, int]) -> Check:
    """The interpreter."""
    text = ".".join(map(str, version))
    if version[:2] < LEAST_PYTHON:
        return problem("Python", text, f"install Python {LEAST_PYTHON[0]}.{LEAST_PYTHON[1]} or newer")
    return ok("Python", text)


def check_libraries(libraries: Iterable[Library]) -> Check:
    """What must be installed, in its versions."""
    known = list(libraries)
    missing = [library.name for library in known if library.found is None]
    old = [
        f"{library.name} {library.found} (wanted: {library.least})"
        for library in known
        if library.found is not None and _numbers(library.found) < _numbers(library.least)
    ]
    if missing or old:
        found = "; ".join([*(f"{name} is missing" for name in missing), *(f"{text} is too old" for text in old)])
        return problem("libraries", found, "install them again: pip install 'plugmesh[server,cli]'")
    return ok("libraries", f"all {len(known)} are there in versions that fit")


def check_limits(limits: Limits) -> Check:
    """What the system lets a process have."""
    if limits.files is not None and limits.files < ENOUGH_FILES:
        make = problem if limits.files < LEAST_FILES else warning
        todo = f"allow more open files before the mesh is started: ulimit -n {ENOUGH_FILES * 8}"
        return make("limits", f"{limits.files:,} open files a process", todo)
    if limits.maps is not None and limits.maps < LEAST_MAPS:
        todo = f"allow more, for tables are mapped: sysctl vm.max_map_count={LEAST_MAPS}"
        return warning("limits", f"{limits.maps:,} memory maps a process", todo)
    if limits.processes is not None and limits.processes < LEAST_FILES:
        return warning(
            "limits", f"{limits.processes:,} processes", "allow more, one for each slot and module: ulimit -u"
        )
    files = "any number of" if limits.files is None else f"{limits.files:,}"
    return ok("limits", f"{files} open files a process")


def libraries() -> list[Library]:
    """What Plugmesh itself says it needs for the command and the server."""
    try:
        wanted = metadata.requires("plugmesh") or []
    except metadata.PackageNotFoundError:
        return []
    return [Library(name, least, _installed(name)) for name, least in requirements(wanted).items()]


def requirements(lines: Iterable[str]) -> Mapping[str, str]:
    """Names and least versions of what the base, the command and the server need."""
    found: dict[str, str] = {}
    for line in lines:
        match = _REQUIREMENT.match(line)
        if match is None:
            continue
        extra = re.search(r"extra\s*==\s*['\"]([^'\"]+)['\"]", match[3])
        if (extra[1] if extra else "") in _PARTS:
            found.setdefault(match[1], match[2])
    return found


def python_version() -> tuple[int, int, int]:
    """Of this interpreter."""
    return sys.version_info[0], sys.version_info[1], sys.version_info[2]


def limits() -> Limits:
    """Of this process, and so of a mesh that is started here."""
    return Limits(
        _soft(resource.RLIMIT_NOFILE),
        _number(Path("/proc/sys/vm/max_map_count")),
        _soft(resource.RLIMIT_NPROC),
    )


def _installed(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _numbers(version: str) -> tuple[int, ...]:
    numbers = [int(part) for part in re.findall(r"\d+", version.partition("+")[0])[:3]]
    return tuple([*numbers, 0, 0, 0][:3])


def _soft(which: int) -> int | None:
    soft = resource.getrlimit(which)[0]
    return None if soft == resource.RLIM_INFINITY else soft


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None
