"""How the command begins."""

import subprocess
import sys

import pytest

from plugmesh.cli import main as entry

INTERRUPT_AT_IMPORT = """
import runpy, sys
class CtrlC:
    def find_spec(self, name, path=None, target=None):
        if name == {name!r}:
            raise KeyboardInterrupt
sys.meta_path.insert(0, CtrlC())
sys.argv = ["plugmesh", *{arguments!r}]
runpy.run_module("plugmesh", run_name="__main__")
"""


def python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("plugmesh.cli.main", ["runs"]),
        ("typer", ["runs"]),
        ("httpx2", ["runs"]),
        ("typer", ["module", "serve", "x.py"]),
    ],
)
def test_ctrl_c_while_the_command_is_imported_is_no_traceback(name: str, arguments: list[str]) -> None:
    done = python(INTERRUPT_AT_IMPORT.format(name=name, arguments=arguments))
    assert (done.returncode, done.stderr) == (130, "")


def test_a_module_is_served_without_the_libraries_of_the_other_commands() -> None:
    done = python("import sys, plugmesh.cli.main as m; m.make_module_app(); print(*sys.modules)")
    assert not set(done.stdout.split()) & {"httpx2", "rich", "pydantic", "ruamel.yaml", "plugmesh.flows"}


def test_no_command_waits_for_libraries_that_it_does_not_use() -> None:
    done = python("import sys, plugmesh.cli.main as m; m.make_app(); print(*sys.modules)")
    assert not set(done.stdout.split()) & {"pyarrow", "numpy", "pandas", "pydantic", "sqlalchemy", "ruamel.yaml"}, (
        done.stderr
    )


def test_the_help_of_a_module_command_is_that_of_the_whole_command(
    capsys: pytest.CaptureFixture[str],
) -> None:
    said = []
    for make in (entry.make_app, entry.make_module_app):
        for words in (["module", "--help"], ["module", "serve", "--help"], ["module"], ["module", "nope"]):
            with pytest.raises(SystemExit):
                make()(words, prog_name="plugmesh")
            said.append(capsys.readouterr())
    assert said[:4] == said[4:]
    assert "FILE.py" in said[1].out


def test_help_names_every_command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["plugmesh", "--help"])
    with pytest.raises(SystemExit):
        entry.main()
    said = capsys.readouterr().out
    assert all(word in said for word in ("up", "module", "run", "validate", "show", "logs", "cancel", "instances"))
