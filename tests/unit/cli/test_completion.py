"""What a shell may offer for the last word of a command line."""

import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from plugmesh.cli.app import whole_app
from plugmesh.cli.commands.completion import SCRIPTS, Shell
from plugmesh.cli.completing import complete, url_in, within

ROOT = get_command(whole_app())
RUNS = {"runs": [{"id": "run-1", "flow": "totals", "state": "running"}, {"id": "run-$(rm)", "flow": "x", "state": "y"}]}
DOCUMENTS = {
    "/runs?limit=50": RUNS,
    "/runs/run-1": {"steps": [{"id": "read", "state": "running"}, {"id": "each.3", "state": "ready"}]},
    "/runs/run-1/steps/read": {"outputs": {"out": {}, "rest": {}}},
    "/flows": {"flows": [{"namespace": "shop", "name": "totals", "revision": 3}]},
    "/modules": {"modules": [{"name": "io.read", "doc": "Read\n\x1b[2J a file.", "title": ""}]},
}


def offered(*words: str, ask: Any = DOCUMENTS.__getitem__) -> list[str]:
    return [line.partition("\t")[0] for line in complete(ROOT, words, ask)]


def test_commands_and_options_are_offered() -> None:
    assert "doctor" in offered("do")
    assert offered("data", "s") == ["schema", "stats"]
    assert "--timeline" in offered("show", "--t")


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (("show", ""), ["run-1"]),
        (("show", "--json", "run"), ["run-1"]),
        (("pause", "run-1", "run"), ["run-1"]),
        (("rerun", "run"), ["run-1"]),
        (("rerun", "run-1", "--from", "e"), ["each.3"]),
        (("rerun", "run-1", "--only", "r"), ["read"]),
        (("logs", "run-1", ""), ["read", "each.3"]),
        (("show", "run-1", "--step", "e"), ["each.3"]),
        (("data", "rows", "run-1", "read", ""), ["out", "rest"]),
        (("modules", "io"), ["io.read"]),
        (("module", "disable", ""), ["io.read"]),
        (("flows", "get", ""), ["shop/totals"]),
        (("run", "sh"), ["shop/totals", ":files"]),
        (("module", "new", "x", "--kind", "s"), ["source", "sink"]),
        (("module", "serve", ""), [":files"]),
        (("completion", ""), ["bash", "zsh", "fish"]),
        (("show", "run-1", "too", "many", ""), []),
    ],
)
def test_names_are_offered_where_they_belong(words: tuple[str, ...], wanted: list[str]) -> None:
    assert offered(*words) == wanted


def test_a_name_that_a_shell_could_take_for_a_command_is_not_offered() -> None:
    assert "run-$(rm)" not in offered("show", "")
    assert "\x1b" not in "".join(complete(ROOT, ["modules", ""], DOCUMENTS.__getitem__))


def test_a_mesh_that_is_away_offers_nothing() -> None:
    def away(path: str) -> Any:
        raise ConnectionError

    assert offered("show", "", ask=away) == []
    assert offered("run", "", ask=away) == [":files"]


def test_a_mesh_that_does_not_answer_is_not_waited_for() -> None:
    never = threading.Event()
    with pytest.raises(TimeoutError):
        within(0.01, lambda: never.wait(20))
    never.set()


def test_the_mesh_is_the_one_of_the_command_line() -> None:
    assert url_in(["show", "--url", "http://10.0.0.1:1", ""]) == "http://10.0.0.1:1"


def test_a_shell_never_sees_an_error() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "plugmesh", "__complete", "nonsense", ""], capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("", "")


@pytest.mark.parametrize("shell", Shell)
def test_every_script_parses(shell: Shell, tmp_path: Path) -> None:
    if shutil.which(shell.value) is None:
        pytest.skip(f"no {shell.value} here")
    script = tmp_path / "script"
    script.write_text(SCRIPTS[shell])
    done = subprocess.run([shell.value, "-n", str(script)], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")


def test_bash_completes_with_the_script(tmp_path: Path) -> None:
    (tmp_path / "flow.yaml").touch()
    script = SCRIPTS[Shell.BASH] + (
        'compopt() { :; }\nCOMP_WORDS=(plugmesh data s); COMP_CWORD=2; _plugmesh; echo "${COMPREPLY[@]}"\n'
        'COMP_WORDS=(plugmesh module serve fl); COMP_CWORD=3; _plugmesh; echo "${COMPREPLY[@]}"\n'
    )
    path = f"{Path(sys.prefix) / 'bin'}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", script],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        env={**os.environ, "PATH": path},
    )
    assert done.stdout.splitlines() == ["schema stats", "flow.yaml"], done.stderr
