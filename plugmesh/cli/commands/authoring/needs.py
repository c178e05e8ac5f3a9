"""What a module's file needs to run elsewhere: files beside it, and packages. It is read, not run."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, packages_distributions, requires, version
from pathlib import Path

from plugmesh.errors import ConfigurationError

OURS = frozenset({"plugmesh", "module_sdk"})
EXTRAS = ("server", "cli", "kafka", "s3", "consul", "postgres", "mysql", "otel")
"""What the image of Plugmesh is installed with (scripts/lock)."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_EXTRA = re.compile(r"extra\s*==\s*['\"]([^'\"]+)['\"]")


@dataclass(frozen=True, slots=True)
class Needs:
    """`files`: paths beside the module's file, itself first; folders are packages. `packages`: `name==version`, as they are
    installed here and as the image has not. `unknown`: names that are imported and that nothing here provides."""

    files: tuple[Path, ...]
    packages: tuple[str, ...]
    unknown: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Installed:
    """What is installed where the module was written. `providers`: the packages that provide a name; `in_image`: packages,
    by their normalized names, that the image has anyway."""

    providers: Mapping[str, Sequence[str]]
    in_image: Collection[str]
    version_of: Callable[[str], str]

    @classmethod
    def here(cls) -> Installed:
        """Of this environment."""
        return cls(packages_distributions(), frozenset(_in_image()), version)


def needs_of(file: Path, installed: Installed) -> Needs:
    """What `file` imports, and what the files beside it that it imports do. Raises `ConfigurationError` if one cannot be read."""
    files, packages, unknown = [file], set[str](), set[str]()
    unread = [file]
    while unread:
        for name, optional in _imports(unread.pop()):
            if name in OURS or name in sys.stdlib_module_names:
                continue
            beside = _beside(file.parent, name)
            if beside is not None:
                if beside not in files:
                    files.append(beside)
                    unread.extend(sorted(beside.rglob("*.py")) if beside.is_dir() else [beside])
                continue
            found = _package(name, installed)
            if found:
                packages.add(found)
            elif found is None and not optional:
                unknown.add(name)
    return Needs(tuple(files), tuple(sorted(packages)), tuple(sorted(unknown)))


def normalized(package: str) -> str:
    """The name under which an index knows it."""
    return re.sub(r"[-_.]+", "-", package).lower()


def named(requirements: str) -> set[str]:
    """The packages that a requirements file names, normalized."""
    lines = (line.strip() for line in requirements.splitlines())
    return {normalized(match[0]) for line in lines if (match := _NAME.match(line))}


def _package(name: str, installed: Installed) -> str | None:
    """The requirement that provides a name: empty if the image has it, `None` if nothing here does."""
    providers = installed.providers.get(name, ())
    if any(normalized(package) in installed.in_image for package in providers):
        return ""
    try:
        return next((f"{package}=={installed.version_of(package)}" for package in providers), None)
    except PackageNotFoundError:
        return None


def _imports(file: Path) -> Iterator[tuple[str, bool]]:
    """The top names of what is imported, and whether the file goes on without: such imports stand in a `try`."""
    try:
        tree = ast.parse(file.read_bytes(), str(file))
    except (OSError, SyntaxError, ValueError) as error:
        raise ConfigurationError(f"{file} cannot be read as Python: {error}") from error
    tried = {id(node) for outer in ast.walk(tree) if isinstance(outer, ast.Try) for node in ast.walk(outer)}
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names = [node.module]
        for name in names:
            yield name.partition(".")[0], id(node) in tried


def _beside(folder: Path, name: str) -> Path | None:
    """A module or a package of the author's own."""
    file, package = folder / f"{name}.py", folder / name
    if file.is_file():
        return file
    return package if package.is_dir() and any(package.glob("*.py")) else None


def _in_image() -> Iterator[str]:
    yield "plugmesh"
    for requirement in requires("plugmesh") or ():
        name, extra = _NAME.match(requirement), _EXTRA.search(requirement)
        if name and (extra is None or extra[1] in EXTRAS):
            yield normalized(name[0])
