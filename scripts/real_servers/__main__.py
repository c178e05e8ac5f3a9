"""scripts/servers: see `scripts/servers --help`."""

import argparse
import json
import os
import shlex
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from scripts.real_servers import life
from scripts.real_servers.around import run_with_servers
from scripts.real_servers.catalog import SERVERS, servers
from scripts.real_servers.folders import STATE_VARIABLE, Folders
from scripts.real_servers.problem import Problem
from scripts.real_servers.server import Server

SIDE_BY_SIDE = 3  # what is compiled uses all processors anyway; downloads and starts do not

DESCRIPTION = f"""Real servers for tests: {", ".join(kind.name for kind in SERVERS)} (all, where none is named).

install  makes them ready to be started: once a machine
start    installs what is missing, starts what is not running, waits until each answers, prints its address
run      runs a command; tests in it start the servers that they need, new ones in a folder that is gone afterwards,
         while what is missing is installed in the background
status   what is there; --json for programs, --env for `eval`
stop     ends what start has started, and nothing else; data stay, unless --wipe

Everything listens on 127.0.0.1. Data, logs and ports are in ${STATE_VARIABLE} (a folder under /tmp if it is not
set), what is downloaded and built in ~/.cache/plugmesh-servers."""


def main(arguments: Sequence[str]) -> int:
    options = _parser().parse_args(arguments)
    try:
        chosen = servers(options.names, Folders.of(os.environ))
        code: int = options.act(chosen, options)
        return code
    except Problem as problem:
        print(f"scripts/servers: {problem}", file=sys.stderr)
        return 1


def _install(chosen: list[Server], options: argparse.Namespace) -> int:
    return _for_each(chosen, life.install)


def _start(chosen: list[Server], options: argparse.Namespace) -> int:
    def start(server: Server) -> None:
        life.start(server)
        _say(f"{server.name:<10} {next(iter(server.urls().values()))}")

    return _for_each(chosen, start)


def _run(chosen: list[Server], options: argparse.Namespace) -> int:
    return run_with_servers(options.command)


def _stop(chosen: list[Server], options: argparse.Namespace) -> int:
    def stop(server: Server) -> None:
        ended = life.stop(server, wipe=options.wipe)
        _say(f"{server.name:<10} {'stopped' if ended else 'was not running'}")

    return _for_each(chosen, stop)


def _status(chosen: list[Server], options: argparse.Namespace) -> int:
    found = [life.status(server) for server in chosen]
    if options.json:
        print(json.dumps({status.name: status.as_json() for status in found}, indent=2))
    elif options.env:
        ready = {name: url for status in found if status.ready for name, url in status.urls.items()}
        print("".join(f"export {name}={shlex.quote(url)}\n" for name, url in ready.items()), end="")
    else:
        print("\n".join(map(_in_words, found)))
    return 0


def _in_words(status: life.Status) -> str:
    if status.running:
        state = "ready" if status.ready else "does not answer"
        url = next(iter(status.urls.values()))
        return f"{status.name:<10} {state:<16} {url}  process {status.pid}, {status.memory_mib} MiB"
    return f"{status.name:<10} {'stopped' if status.installed else 'not installed'}"


def _for_each(chosen: list[Server], act: Callable[[Server], None]) -> int:
    """Does it to all of them, side by side; one that fails keeps none of the others from being done."""
    with ThreadPoolExecutor(SIDE_BY_SIDE) as threads:
        done = list(threads.map(partial(_attempt, act), chosen))
    return 0 if all(done) else 1


def _attempt(act: Callable[[Server], None], server: Server) -> bool:
    try:
        act(server)
    except Problem as problem:
        sys.stderr.write(f"{server.name}: {problem}\n")
        return False
    return True


def _say(line: str) -> None:
    """In one piece: several servers speak at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/servers", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True, metavar="install|start|run|status|stop")
    for act in (_install, _start, _status, _stop):
        command = commands.add_parser(act.__name__.removeprefix("_"))
        command.add_argument("names", nargs="*", metavar="NAME")
        command.set_defaults(act=act)
        if act is _stop:
            command.add_argument("--wipe", action="store_true", help="remove their data too")
        if act is _status:
            command.add_argument("--json", action="store_true", help="everything, for programs")
            command.add_argument(
                "--env", action="store_true", help="export lines with the addresses of those that answer"
            )
    run = commands.add_parser("run")
    run.add_argument("command", nargs=argparse.REMAINDER, metavar="COMMAND ...")
    run.set_defaults(act=_run, names=[])
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
