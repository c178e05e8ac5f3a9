"""`plugmesh dlq`, against answers of the documented shapes."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli.answering import Mesh, answering

LETTER: dict[str, Any] = {
    "id": "run-1.clean", "run": "run-1", "namespace": "default", "flow": "shop", "step": "clean", "epoch": 1,
    "module": "shop.clean@1.0.0", "outcome": "succeeded", "rows": 2, "reasons": {"qty is not\x1b[2J above zero": 2},
    "state": "open", "edited_rows": None, "redrive": None, "actor": None, "reason": None, "at": 100.0,
    "changed_at": None, "data_gone_at": None, "ports": ["orders"],
}  # fmt: skip
ROWS = {
    "kind": "table", "columns": [{"name": "qty", "type": "int64"}], "rows": [{"qty": 0}], "total": 1, "matched": 1,
    "offset": 0, "truncated": False,
}  # fmt: skip
WRONG = {
    "code": "request-invalid",
    "detail": "no",
    "problems": [{"where": "2:qty", "message": '"x" is not a whole number'}],
}


@pytest.fixture
def mesh() -> Iterator[Mesh]:
    with answering() as found:
        found.answers = {
            "GET /dlq": {"letters": [LETTER], "next_cursor": None},
            "GET /dlq/run-1.clean": LETTER,
            "GET /dlq/run-1.clean/rows": ROWS,
            "GET /dlq/run-1.clean/download": b'{"qty":0}\n',
            "PUT /dlq/run-1.clean/rows": {**LETTER, "edited_rows": 1},
            "POST /dlq/run-1.clean/redrive": {
                "id": "run-1.clean",
                "run": "run-2",
                "repeated": False,
                "origin": "run-1",
            },
            "POST /dlq/run-1.clean/discard": {**LETTER, "state": "discarded"},
        }
        yield found


def editor_of(folder: Path, *, changes: str = "", code: int = 0) -> str:
    """An editor that writes these lines."""
    program = folder / "editor.py"
    write = f"open(sys.argv[1], 'w').write({changes!r});" if changes else ""
    program.write_text(f"import sys; {write} sys.exit({code})")
    return f"'{sys.executable}' '{program}'"


def test_letters_are_listed_with_why(mesh: Mesh) -> None:
    shown = mesh.cli("dlq", "ls").stdout
    assert "run-1.clean" in shown
    assert "\x1b" not in shown
    assert json.loads(mesh.cli("dlq", "ls", "--json").stdout)["letters"] == [LETTER]
    mesh.answers["GET /dlq"] = {"letters": [], "next_cursor": None}
    assert mesh.cli("dlq", "ls", "--state", "open").stdout == "no dead letters\n"


def test_a_letter_is_shown_with_its_rows(mesh: Mesh) -> None:
    shown = mesh.cli("dlq", "show", "run-1.clean").stdout
    assert "clean of run run-1 (shop), which has succeeded" in shown
    assert "goes to   orders" in shown
    assert "qty" in shown
    mesh.answers["GET /dlq/run-1.clean"] = {
        **LETTER,
        "data_gone_at": 200.0,
        "state": "redriven",
        "redrive": "run-2",
        "ports": [],
    }
    gone = mesh.cli("dlq", "show", "run-1.clean").stdout
    assert "redriven: run-2" in gone
    assert "its rows were removed" in gone
    assert "no input of the step" in gone


def test_rows_are_corrected_in_an_editor(mesh: Mesh, tmp_path: Path) -> None:
    done = mesh.cli("dlq", "edit", "run-1.clean", EDITOR=editor_of(tmp_path, changes='{"qty": 5}\n'))
    assert "has 1 corrected row: plugmesh dlq redrive run-1.clean" in done.stdout
    assert mesh.sent["PUT /dlq/run-1.clean/rows"] == ("application/x-ndjson", b'{"qty": 5}\n')


def test_an_editor_that_changes_nothing_changes_nothing(mesh: Mesh, tmp_path: Path) -> None:
    assert mesh.cli("dlq", "edit", "run-1.clean", EDITOR=editor_of(tmp_path)).stdout == "nothing was changed\n"
    assert "PUT /dlq/run-1.clean/rows" not in mesh.sent


def test_what_is_refused_is_told_with_its_place_and_kept(mesh: Mesh, tmp_path: Path) -> None:
    mesh.answers["PUT /dlq/run-1.clean/rows"] = WRONG
    mesh.statuses["PUT /dlq/run-1.clean/rows"] = 422
    done = mesh.cli(
        "dlq", "edit", "run-1.clean", code=2, EDITOR=editor_of(tmp_path, changes='{"qty": 5}\n{"qty": "x"}\n')
    )
    assert '2:qty: "x" is not a whole number' in done.stderr
    kept = Path(done.stderr.replace("\n", " ").partition("--file ")[2].split()[0])
    assert kept.read_text().count("qty") == 2
    kept.unlink()


@pytest.mark.parametrize(
    ("env", "said"),
    [({"EDITOR": ""}, "no editor is set"), ({"EDITOR": "/no/such"}, "cannot be started"), ({"EDITOR": "false"}, "ended with")],
)  # fmt: skip
def test_an_editor_that_does_not_work_is_named(mesh: Mesh, env: dict[str, str], said: str) -> None:
    assert said in mesh.cli("dlq", "edit", "run-1.clean", code=2, **env).stderr.replace("\n", " ")


def test_rows_come_from_a_file_or_from_stdin(mesh: Mesh, tmp_path: Path) -> None:
    table = tmp_path / "rows.csv"
    table.write_text("qty\n5\n")
    mesh.cli("dlq", "edit", "run-1.clean", "--file", str(table))
    assert mesh.sent["PUT /dlq/run-1.clean/rows"] == ("text/csv", b"qty\n5\n")
    mesh.cli("dlq", "edit", "run-1.clean", "--file", "-", input='{"qty": 1}')
    assert mesh.sent["PUT /dlq/run-1.clean/rows"] == ("application/x-ndjson", b'{"qty": 1}')
    said = mesh.cli("dlq", "edit", "run-1.clean", "--file", str(tmp_path / "no"), code=2).stderr
    assert "cannot be read" in " ".join(said.split())


def test_a_redrive_says_which_run_has_the_rows(mesh: Mesh) -> None:
    assert (
        "run run-2 gets the rows of run-1.clean" in mesh.cli("dlq", "redrive", "run-1.clean", "--port", "orders").stdout
    )
    assert mesh.sent["POST /dlq/run-1.clean/redrive"][1] == b'{"port":"orders"}'


def test_giving_up_rows_is_asked_for_first(mesh: Mesh) -> None:
    assert "say --yes" in mesh.cli("dlq", "discard", "run-1.clean", code=2).stderr
    mesh.cli("dlq", "discard", "run-1.clean", "--yes", "--reason", "test data")
    assert mesh.sent["POST /dlq/run-1.clean/discard"][1] == b'{"reason":"test data"}'
