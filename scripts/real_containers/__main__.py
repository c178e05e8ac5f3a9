"""scripts/containers: see `scripts/containers --help`."""

import argparse
import json
import os
import shlex
import sys
from collections.abc import Sequence

from scripts.real_containers import service
from scripts.real_containers.base import provide_base
from scripts.real_containers.engine import has_own, status
from scripts.real_containers.images import build
from scripts.real_containers.install import install_engine
from scripts.real_containers.places import Places
from scripts.real_servers.problem import Problem

DESCRIPTION = """A container engine for tests, on a machine that has none: podman, with `docker` and `docker compose` in front.

install  makes it ready, and starts it: packages, commands, a base image. A machine with Docker and Compose needs nothing
start    starts what install has started, after the machine or `stop` has ended it
build    builds the images of compose/mesh.yml, or of these services of it; `scripts/servers install` goes before that
status   what is there; --json for programs
env      export lines for `eval`: with them, `docker` finds the engine
stop     ends the engine's processes; images stay

What is downloaded and built is in ~/.cache/plugmesh-containers; nothing of the system is changed but its packages."""


def main(arguments: Sequence[str]) -> int:
    options = _parser().parse_args(arguments)
    try:
        code: int = options.act(Places.of(os.environ), options)
        return code
    except Problem as problem:
        print(f"scripts/containers: {problem}", file=sys.stderr)
        return 1


def _install(places: Places, options: argparse.Namespace) -> int:
    if not has_own(places):
        install_engine(places)
        service.start(places)
    found = status(places)
    print(f"{found.engine}, images are built on {provide_base(places, found.environment)}")
    return 0


def _build(places: Places, options: argparse.Namespace) -> int:
    found = status(places)
    if not found.ready:
        raise Problem(found.why)
    build(places, found.environment, options.services)
    return 0


def _start(places: Places, options: argparse.Namespace) -> int:
    if not has_own(places):
        service.start(places)
    print(status(places).engine)
    return 0


def _stop(places: Places, options: argparse.Namespace) -> int:
    print("stopped" if service.stop(places) else "was not running")
    return 0


def _status(places: Places, options: argparse.Namespace) -> int:
    found = status(places)
    print(json.dumps(found.as_json(), indent=2) if options.json else found.engine or found.why)
    return 0 if found.ready else 1


def _env(places: Places, options: argparse.Namespace) -> int:
    found = status(places)
    if not found.ready:
        raise Problem(found.why)
    for name, value in found.environment.items():
        print(f"export {name}={shlex.quote(value)}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/containers", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True, metavar="install|start|build|status|env|stop")
    for act in (_install, _start, _build, _status, _env, _stop):
        command = commands.add_parser(act.__name__.removeprefix("_"))
        command.set_defaults(act=act)
        if act is _build:
            command.add_argument("services", nargs="*", metavar="SERVICE")
        if act is _status:
            command.add_argument("--json", action="store_true", help="everything, for programs")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
