"""`plugmesh module …`: what module authors use. Light: `serve` takes no more along than it needs."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from plugmesh.cli.arguments import HERE, AsJson, Url
from plugmesh.cli.commands.authoring.template import Frame, Kind
from plugmesh.cli.exits import ExitCode
from plugmesh.cli.root import group
from plugmesh.cli.server.children import serve_command
from plugmesh.errors import ConfigurationError, NotFound, PlugmeshError
from plugmesh.token_file import FILE_VARIABLE, JOIN_TOKEN, TOKEN_VARIABLE, local_file

ModuleFile = Annotated[Path, typer.Argument(metavar="FILE.py", help="A Python file with decorated functions.")]
Inputs = Annotated[
    list[str] | None,
    typer.Option(
        "--input",
        "-i",
        metavar="PORT=FILE",
        help="What an input gets: a CSV, Parquet, Arrow or JSON file; PORT:=JSON: a value. A made-up table otherwise.",
    ),
]
Params = Annotated[list[str] | None, typer.Option("--param", "-p", metavar="NAME=VALUE", help="A param.")]
Only = Annotated[str, typer.Option("--module", metavar="NAME", help="Only this module of the file.")]


def serve(
    file: ModuleFile,
    slots: Annotated[
        int | None, typer.Option(min=1, max=1024, help="Steps that it runs at a time. [default: one a processor]")
    ] = None,
    drain_s: Annotated[
        float | None,
        typer.Option(min=0, help="Seconds that steps at work have to finish when it is stopped. [default: 25]"),
    ] = None,
    token_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="File with the mesh's join token. [default: PLUGMESH_TOKEN, PLUGMESH_TOKEN_FILE, or the data folder's]",
        ),
    ] = None,
    url: Url = HERE,
) -> None:
    """Plug the modules of a file into the mesh, and serve them until Ctrl-C.

    The mesh need not be there yet, and may come and go: the process joins it again by itself. At the first Ctrl-C (or
    SIGTERM) steps that have not begun go to others at once, and those at work may finish; once more ends it at once.
    """
    if not file.is_file():
        raise _failed(NotFound(f"there is no file {file}"))
    if token_file is None and not (os.environ.get(TOKEN_VARIABLE) or os.environ.get(FILE_VARIABLE)):
        token_file = local_file(url, os.environ, JOIN_TOKEN)
    command = serve_command(file.resolve(), slots, token_file and token_file.absolute(), drain_s)
    os.execve(command[0], command, {**os.environ, "PLUGMESH_URL": url})  # noqa: S606  no shell


def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The module's name, as in orders.price_total.")],
    *,
    kind: Annotated[Kind, typer.Option(help="What part it plays in a flow.")] = Kind.TRANSFORM,
    frame: Annotated[Frame, typer.Option(help="The library whose tables it works with.")] = Frame.PANDAS,
    folder: Annotated[Path, typer.Option(metavar="DIR", help="Where the files are written.")] = Path(),
    as_json: AsJson = False,
) -> None:
    """Write a new module that works, and a test beside it. Files that are there are never touched."""
    import json  # noqa: PLC0415  serving needs none of these

    from plugmesh.cli.commands.authoring.commands import write_new  # noqa: PLC0415  as above

    try:
        made = write_new(name, kind, frame, folder)
    except PlugmeshError as error:
        raise _failed(error) from None
    if as_json:
        print(json.dumps(made))
        return
    print(f"{made['file']} is the module {name}, {made['test']} its test")
    print(f"Try it:      plugmesh module test {made['file']}")
    print(f"Work on it:  plugmesh module dev {made['file']}")
    print(f"Plug it in:  plugmesh module serve {made['file']}")


def try_out(
    file: ModuleFile,
    *,
    words: Annotated[str | None, typer.Option("-k", metavar="WORDS", help="Only tests whose names have these.")] = None,
    test_file: Annotated[
        Path | None,
        typer.Option("--test", metavar="FILE", help="The test. [default: test_FILE.py beside it or in tests]"),
    ] = None,
    input: Inputs = None,
    param: Params = None,
    module: Only = "",
    as_json: Annotated[
        bool, typer.Option("--json", help="Run on a sample, and answer with one JSON document.")
    ] = False,
) -> None:
    """Run the test of a module's file with pytest; without one, or with --input or --param, the module on a sample.

    No mesh is needed. Exits with 1 if a test or the module failed.
    """
    from plugmesh.cli.commands.authoring.commands import run_tests, trial_of  # noqa: PLC0415  serving needs none of this

    try:
        trial = trial_of(file, module=module, inputs=input or (), params=param or (), as_json=as_json)
        code = run_tests(trial, words, test_file)
    except PlugmeshError as error:
        raise _failed(error) from None
    raise typer.Exit(_of_child(code))


def dev(
    file: ModuleFile,
    *,
    input: Inputs = None,
    param: Params = None,
    module: Only = "",
) -> None:
    """Run a module on a sample each time that it is saved, in a fresh process, until Ctrl-C. No mesh is needed.

    A change of a file that it imports from its own folder, or of an input, counts too.
    """
    from plugmesh.cli.commands.authoring.commands import develop, trial_of  # noqa: PLC0415  serving needs none of this

    try:
        develop(trial_of(file, module=module, inputs=input or (), params=param or ()))
    except PlugmeshError as error:
        raise _failed(error) from None
    except KeyboardInterrupt:
        raise typer.Exit(ExitCode.INTERRUPTED) from None


def image(
    file: ModuleFile,
    *,
    tag: Annotated[
        str, typer.Option(metavar="NAME:TAG", help="The image's name. [default: plugmesh-MODULE:VERSION]")
    ] = "",
    base: Annotated[str, typer.Option(metavar="IMAGE", help="Plugmesh's own image. [default: plugmesh:VERSION]")] = "",
    requirements: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Packages that it needs. [default: requirements.txt beside it, or what it imports, as installed here]",
        ),
    ] = None,
    shown: Annotated[bool, typer.Option("--print", help="Only print the Dockerfile.")] = False,
) -> None:
    """Build a container image that serves the modules of a file, or print its Dockerfile.

    What the file imports from its own folder is copied; packages that Plugmesh's image has not are installed. Exits with 2,
    and says what is missing, if an import cannot be found, or there is no engine (Docker or podman) to build with.
    """
    from plugmesh.cli.commands.authoring.image import BASE, build, recipe_of, tag_of  # noqa: PLC0415  serving needs none of this

    try:
        recipe = recipe_of(file, requirements=requirements, base=base or BASE)
        if shown:
            print(recipe.text(), end="")
            return
        name = tag or tag_of(file)
        build(recipe, name)
    except PlugmeshError as error:
        raise _failed(error) from None
    print(f"{name} serves {file.name}: docker run --init -e PLUGMESH_URL -e PLUGMESH_TOKEN {name}")


def module_app() -> typer.Typer:
    """The commands about modules that need no mesh to be asked."""
    app = group("module", "Write, try and plug in modules; switch them off and on.")
    app.command()(new)
    app.command("test")(try_out)
    for command in (dev, serve, image, enable, disable):
        app.command()(command)
    return app


def enable(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The module, or NAME@VERSION for one version of it.")],
    version: Annotated[str | None, typer.Option(help="Only this version.")] = None,
    as_json: AsJson = False,
    url: Url = HERE,
) -> None:
    """Let a module that was disabled or quarantined be used again; steps that waited for it go on.

    What spoke against it until now does not count any more.
    """
    from plugmesh.cli.commands.modules import switch  # noqa: PLC0415  serving needs no client

    switch(name, version, {}, "enable", as_json=as_json, url=url)


def disable(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The module, or NAME@VERSION for one version of it.")],
    *,
    reason: Annotated[str, typer.Option(help="Why, for whoever waits for it.")] = "",
    version: Annotated[str | None, typer.Option(help="Only this version.")] = None,
    as_json: AsJson = False,
    url: Url = HERE,
) -> None:
    """Give a module no more work: what it runs ends, and other steps wait until it is enabled again."""
    from plugmesh.cli.commands.modules import switch  # noqa: PLC0415  serving needs no client

    switch(name, version, {"reason": reason}, "disable", as_json=as_json, url=url)


def _failed(error: PlugmeshError) -> typer.Exit:
    """Say what is wrong; the exit that follows."""
    from plugmesh.cli.display.terminal_text import plain  # noqa: PLC0415  only when something is wrong

    print(plain(f"plugmesh: {error}"), file=sys.stderr)
    if isinstance(error, NotFound):
        return typer.Exit(ExitCode.NOT_FOUND)
    return typer.Exit(ExitCode.USAGE if isinstance(error, ConfigurationError) else ExitCode.RUN_FAILED)


def _of_child(code: int) -> int:
    """What to exit with after a child that exited with `code`, negative for a signal."""
    if code < 0:
        print(f"plugmesh: the module's process was ended by signal {-code}", file=sys.stderr)
        return ExitCode.RUN_FAILED
    return code
