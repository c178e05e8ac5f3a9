"""The entry of the `plugmesh` command: it imports what the command line needs, where Ctrl-C is expected."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import typer

INTERRUPTED = 130
"""The same as `ExitCode.INTERRUPTED`, which is not imported yet when it is needed."""


TRACEBACK = "PLUGMESH_TRACEBACK"
"""Environment variable for whoever looks for a mistake in the command."""


def make_app() -> typer.Typer:
    """The command with all that belongs to it."""
    from plugmesh.cli.app import whole_app  # noqa: PLC0415  slow: Ctrl-C may come meanwhile

    return whole_app()


def make_module_app() -> typer.Typer:
    """The command with `module` only: an author's module is plugged in without the libraries of the others."""
    from plugmesh.cli.commands.module import module_app  # noqa: PLC0415  as above
    from plugmesh.cli.root import root_app  # noqa: PLC0415  slow: Ctrl-C may come meanwhile

    app = root_app()
    app.add_typer(module_app())
    return app


def make_up_app() -> typer.Typer:
    """The command with `up` only: a server starts without the libraries of the commands that talk to one."""
    from plugmesh.cli.commands.up import up  # noqa: PLC0415  as above
    from plugmesh.cli.root import root_app  # noqa: PLC0415  slow: Ctrl-C may come meanwhile

    app = root_app()
    app.command()(up)
    return app


def make_serve_app() -> typer.Typer:
    """The command with `serve` only, as that with `up`."""
    from plugmesh.cli.roles.command import serve_app  # noqa: PLC0415  slow: Ctrl-C may come meanwhile
    from plugmesh.cli.root import root_app  # noqa: PLC0415  as above

    app = root_app()
    app.add_typer(serve_app())
    return app


_ALONE = {"module": make_module_app, "serve": make_serve_app, "up": make_up_app}
"""Commands that start processes, and need little of the others."""


def _print_anything() -> None:
    """A terminal that cannot show a character of somebody's data shows what it is called, and nothing breaks."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def main() -> None:
    """Entry point of the console script. Ctrl-C at any moment ends it with 130, without a traceback."""
    try:
        if sys.argv[1:2] == ["__complete"]:
            from plugmesh.cli.completing import answer  # noqa: PLC0415  slow: Ctrl-C may come meanwhile

            answer(sys.argv[2:])
            return
        _print_anything()
        app = _ALONE.get(next(iter(sys.argv[1:2]), ""), make_app)()
        app(prog_name="plugmesh")
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except Exception as error:
        if os.environ.get(TRACEBACK):
            raise
        sys.exit(_unexpected(error))


def _unexpected(error: Exception) -> str:
    """What to say of a mistake of ours, or of a mesh whose answers have another form."""
    from plugmesh.cli.display.terminal_text import one_line  # noqa: PLC0415  only when something is wrong

    return one_line(
        f"plugmesh: the command itself went wrong ({type(error).__name__}: {error}). `plugmesh doctor` says whether the "
        f"mesh has another version; {TRACEBACK}=1 shows where it was"
    )
