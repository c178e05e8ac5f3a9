"""Putting modules on a mesh: `serve(…)` in an author's file, `python -m module_sdk.serving FILE.py` without one.

Both derive the contracts here, where the author's code was just imported, and then become a supervisor by `execv`: a
process that has never run a line of that code.
"""

from __future__ import annotations

import argparse
import importlib
import os
import pkgutil
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

from module_sdk.decorator import Module
from module_sdk.launch import DRAIN_S, Launch, Served, Source
from module_sdk.loading import load_file, modules_in
from module_sdk.trace import import_failure, place_of_error
from plugmesh.errors import ContractError, PlugmeshError
from plugmesh.telemetry.config import HEADER_VARIABLES
from plugmesh.urls import filled_in, secret_variables

URL_VARIABLE = "PLUGMESH_URL"
TOKEN_VARIABLE, TOKEN_FILE_VARIABLE = "PLUGMESH_TOKEN", "PLUGMESH_TOKEN_FILE"
BACKEND_VARIABLES = ("PLUGMESH_BUS", "PLUGMESH_DISCOVERY", "PLUGMESH_OBJECTS")
"""Where bus, discovery and objects are, for a module that needs no gateway."""
STATE_VARIABLE = "PLUGMESH_STATE"
"""Where the database of servers is; modules have nothing to do with it."""
DEFAULT_URL = "http://127.0.0.1:8720"


def serve(
    *modules: Module[..., Any],
    slots: int | None = None,
    url: str | None = None,
    labels: Mapping[str, str] | None = None,
    drain_s: float = DRAIN_S,
) -> NoReturn:
    """Put modules on the mesh and stay; does not return. Call it below `if __name__ == "__main__":`.

    `slots`: attempts at a time (by default one a processor). `url`: the mesh (by default `PLUGMESH_URL`, or
    http://127.0.0.1:8720). `drain_s`: seconds that steps at work have to finish after a SIGTERM or Ctrl-C; then they are
    ended and go to somebody else. Raises `ContractError` when a module is not at the top level of its file.
    """
    if not modules:
        raise ContractError("serve() needs at least one module, as in serve(price_total)")
    for module in modules:
        if not isinstance(module, Module):
            raise ContractError(f"serve() takes functions decorated with @module, not {module!r}")
    token, token_file = take_token()
    become_supervisor(
        Launch(
            _served(modules),
            _url(url),
            _slots(slots),
            labels=dict(labels or {}),
            path=_folders(sys.path[:1]),
            drain_s=_drain_s(drain_s),
            token=token,
            token_file=token_file,
            backends=take_backends(),
            otlp_headers=take_otlp_headers(),
        )
    )


def become_supervisor(launch: Launch) -> NoReturn:
    """Replace this process by a supervisor; what it serves is handed over in an unlinked file."""
    with tempfile.TemporaryFile(prefix="plugmesh-launch-") as file:
        file.write(launch.encode())
        file.flush()
        file.seek(0)
        os.set_inheritable(file.fileno(), True)
        sys.stdout.flush()
        sys.stderr.flush()
        os.execv(sys.executable, [sys.executable, "-P", "-m", "module_sdk.supervisor", str(file.fileno())])  # noqa: S606


def main(arguments: Sequence[str] | None = None) -> None:
    """`python -m module_sdk.serving FILE.py` or `--package NAME`."""
    options = _parser().parse_args(arguments)
    if bool(options.files) == bool(options.package):
        _parser().error("give files with modules, or --package NAME")
    sys.path[:0] = options.path
    try:
        launch = _launch(options)
    except PlugmeshError as error:
        sys.exit(f"plugmesh: {error}")
    become_supervisor(launch)


def take_token(file: str = "") -> tuple[str, str]:
    """The join token, or the file that has it, out of the environment: user code and what it starts must not see it."""
    token, named = os.environ.pop(TOKEN_VARIABLE, ""), os.environ.pop(TOKEN_FILE_VARIABLE, "")
    file = file or ("" if token else named)
    return ("", str(Path(file).expanduser().absolute())) if file else (token.strip(), "")


def take_backends() -> tuple[str, ...]:
    """The URLs of bus, discovery and objects out of the environment, for the same reason: they may hold passwords. With them go
    the variables that they name, and what would lead to the database."""
    urls = [os.environ.pop(variable, "") for variable in BACKEND_VARIABLES]
    taken = tuple(filled_in(url, os.environ) for url in urls)
    for variable in secret_variables(" ".join((*urls, os.environ.pop(STATE_VARIABLE, "")))):
        os.environ.pop(variable, None)
    return taken


def take_otlp_headers() -> str:
    """The headers for the collector of traces out of the environment: they may hold its key."""
    taken = [os.environ.pop(variable, "") for variable in HEADER_VARIABLES]
    return next(filter(None, taken), "")


def _launch(options: argparse.Namespace) -> Launch:
    token, token_file = take_token(options.token_file)
    backends, otlp_headers = take_backends(), take_otlp_headers()
    if options.package:
        modules, path = _in_package(options.package), _folders(options.path)
    else:
        modules, path = _in_files(options.files), _folders([*options.path, *map(_parent, options.files)])
    labels = dict(label.split("=", 1) for label in options.label)
    return Launch(
        _served(modules),
        _url(options.url),
        _slots(options.slots),
        labels=labels,
        path=path,
        idle_s=options.idle_s,
        drain_s=_drain_s(options.drain_s),
        orphan_exit_s=options.orphan_exit_s,
        token=token,
        token_file=token_file,
        backends=backends,
        otlp_headers=otlp_headers,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m module_sdk.serving", description="Put modules on a mesh.")
    parser.add_argument("files", nargs="*", help="Python files with modules in them")
    parser.add_argument("--package", help="a package, or one of its modules, instead of files")
    parser.add_argument("--path", action="append", default=[], help="folder to put on sys.path of the modules' code")
    parser.add_argument("--url", help=f"the mesh; by default ${URL_VARIABLE} or {DEFAULT_URL}")
    parser.add_argument("--token-file", default="", help=f"file with the join token; or ${TOKEN_VARIABLE}")
    parser.add_argument("--slots", type=int, help="attempts at a time; by default one a processor")
    parser.add_argument("--label", action="append", default=[], metavar="NAME=VALUE", help="a label of the instance")
    parser.add_argument("--idle-s", type=float, default=60.0, help="executors without work end after it")
    parser.add_argument("--drain-s", type=float, default=DRAIN_S, help="longest time to finish after a SIGTERM")
    parser.add_argument(
        "--orphan-exit-s", type=float, help="end when the mesh has been away so long and nothing is held"
    )
    return parser


def _served(modules: Sequence[Module[..., Any]]) -> tuple[Served, ...]:
    served: dict[str, Served] = {}
    for module in modules:
        ref = module.contract.ref
        if ref in served and served[ref].contract.digest != module.contract.digest:
            raise ContractError(f"two modules are called {ref}: give one of them another name or version")
        served[ref] = Served(module.contract, _source(module))
    return tuple(served.values())


def _source(module: Module[..., Any]) -> Source:
    """Where executors find the module: the script that was started, a file that was loaded by path, or an import."""
    name = module.function.__module__
    namespace = sys.modules.get(name)
    if namespace is None or all(module is not value for value in vars(namespace).values()):
        place = module.signature.place
        raise place.error(
            "a module must stand at the top level of its file, under its own name, so that other processes find it there"
        )
    if name == "__main__" and getattr(namespace, "__spec__", None) is not None:
        return Source(name=str(namespace.__spec__.name))  # type: ignore[union-attr]
    if name == "__main__" or name.rpartition(".")[2].startswith("_module_"):
        return Source(file=str(Path(module.file).resolve()))
    return Source(name=name)


def _in_files(files: Sequence[str]) -> list[Module[..., Any]]:
    found: list[Module[..., Any]] = []
    sys.path[:0] = _folders(map(_parent, files))
    for file in files:
        modules = modules_in(_imported(file, partial(load_file, file)))
        if not modules:
            raise ContractError(f"{file} has no modules: decorate a function with @module")
        found.extend(modules)
    return found


def _in_package(name: str) -> list[Module[..., Any]]:
    package = _imported(name, partial(importlib.import_module, name))
    namespaces: list[ModuleType] = [package]
    if hasattr(package, "__path__"):
        walked = pkgutil.walk_packages(package.__path__, name + ".")
        namespaces.extend(_imported(info.name, partial(importlib.import_module, info.name)) for info in walked)
    found = {id(module): module for namespace in namespaces for module in modules_in(namespace)}
    if not found:
        raise ContractError(f"the package {name} has no modules: decorate a function in it with @module")
    return list(found.values())


def _imported(name: str, run: Callable[[], ModuleType]) -> ModuleType:
    """What `run` imports. Raises `ContractError` with the author's own lines when that fails, or ends the process."""
    try:
        return run()
    except PlugmeshError:
        raise
    except SystemExit as error:
        raise ContractError(
            f"{place_of_error(error) or name}: the file ended, by sys.exit({error.code!r}), before its modules were "
            'declared: put what a script does below `if __name__ == "__main__":`'
        ) from error
    except Exception as error:
        raise ContractError(import_failure(error, name)) from error


def _folders(folders: Any) -> tuple[str, ...]:
    """Absolute folders, each once."""
    return tuple(dict.fromkeys(str(Path(folder).resolve()) for folder in folders))


def _parent(file: str) -> str:
    return str(Path(file).resolve().parent)


def _url(given: str | None) -> str:
    return given or os.environ.get(URL_VARIABLE) or DEFAULT_URL


def _slots(given: int | None) -> int:
    slots = given if given is not None else len(os.sched_getaffinity(0))
    if not 1 <= slots <= 1024:
        raise ContractError(f"slots is {slots}: it is a number from 1 to 1024")
    return slots


def _drain_s(given: float) -> float:
    if not 0 <= given < float("inf"):
        raise ContractError(f"drain_s is {given:g}: it is a number of seconds, from 0")
    return given


if __name__ == "__main__":
    main()
