"""Loading an author's code afresh, and finding the modules in it."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

from module_sdk.decorator import Module
from module_sdk.launch import Source
from plugmesh.errors import ContractError


def load(source: Source) -> ModuleType:
    """Import a source; a file gets a private name, so that `if __name__ == "__main__":` does not hold in it."""
    if source.file:
        return load_file(source.file)
    _compile_afresh()
    return importlib.import_module(source.name)


def load_file(file: str) -> ModuleType:
    """Run a file as a module of its own. Raises `ContractError` if it is no Python file, and what its code raises."""
    path = Path(file).resolve()
    if not path.is_file():
        raise ContractError(f"there is no file {file}: give the path of a Python file with modules in it")
    _compile_afresh()
    package = _package_of(path)
    private = f"_module_{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"
    name = f"{package}.{private}" if package else private
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ContractError(f"{file} is no Python file: its name must end in .py")
    loaded = importlib.util.module_from_spec(spec)
    sys.modules[name] = loaded  # before it runs: dataclasses and pickles look themselves up
    try:
        spec.loader.exec_module(loaded)
    except BaseException:
        del sys.modules[name]
        raise
    return loaded


def _compile_afresh() -> None:
    """From now on, keep no compiled code of what this process imports.

    Python takes kept code for a file's own when the length is the same and the time of the last change, in whole seconds:
    an author who saves `+ 1`, looks, and saves `+ 2` within the second would go on to get the first.
    https://docs.python.org/3/reference/import.html#cached-bytecode-invalidation
    """
    sys.dont_write_bytecode = True


def _package_of(path: Path) -> str:
    """The package that a file lies in, imported, so that `from .rates import RATE` works.

    Empty if it lies in none, or if Python has another package of that name: then the file stands alone.
    Raises what the package's own code raises.
    """
    folder = path.parent
    while (folder / "__init__.py").is_file() and folder.name.isidentifier():
        folder = folder.parent
    parts = path.parent.relative_to(folder).parts
    if not parts:
        return ""
    if str(folder) not in sys.path:
        sys.path.append(str(folder))  # behind everything else: what lies beside the package hides no library
    places = getattr(importlib.import_module(parts[0]), "__path__", ())
    if folder / parts[0] not in [Path(place).resolve() for place in places]:
        return ""
    importlib.import_module(".".join(parts))
    return ".".join(parts)


def modules_in(namespace: ModuleType) -> list[Module[..., Any]]:
    """The modules at the top level of a file: those that were written in it, or else those that it imported."""
    found = list({id(value): value for value in vars(namespace).values() if isinstance(value, Module)}.values())
    own = [module for module in found if module.function.__module__ == namespace.__name__]
    return own or found


def find_module(namespace: ModuleType, ref: str) -> Module[..., Any]:
    """The module `name@version` at the top level of a file. Raises `ContractError`."""
    return find_in(modules_in(namespace), ref, str(getattr(namespace, "__file__", namespace.__name__)))


def find_in(modules: Iterable[Module[..., Any]], ref: str, place: str) -> Module[..., Any]:
    """The module called `ref` among `modules`. Raises `ContractError`."""
    known = list(modules)
    for module in known:
        if module.contract.ref == ref:
            return module
    there = ", ".join(module.contract.ref for module in known) or "none"
    raise ContractError(
        f"{place} has no module {ref} at its top level (there are: {there}): was the file changed? Start it again"
    )
