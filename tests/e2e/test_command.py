"""The `plugmesh` command as scripts and people use it: exit codes, `--json`, inputs, params, outputs."""

import json
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.authors import FAILING, flow_of
from tests.e2e.commands import Command
from tests.e2e.real_mesh import PLUGMESH, RealMesh
from tests.waiting import wait_until_sync

TOTALS = """\
flow: shop/totals
inputs:
  orders: {kind: file}
params:
  least: {type: number, default: 0}
  note: {type: string, default: ""}
nodes:
  read: {module: io.read, params: {file: "${inputs.orders}"}}
  dear: {module: table.filter, in: read, params: {where: "price >= ${params.least}"}}
outputs:
  dear: dear
"""
BAD = "flow: shop/bad\nnodes:\n  it: {module: table.filter, in: nowhere, params: {where: '1 ='}}\n"


@pytest.fixture(scope="module")
def shop(shared_mesh: RealMesh) -> Path:
    """A folder with a flow and its data."""
    (shared_mesh.folder / "totals.yaml").write_text(TOTALS)
    (shared_mesh.folder / "bad.yaml").write_text(BAD)
    (shared_mesh.folder / "orders.csv").write_text("item,price\ntea,3.5\ncup,8.0\n[red]pot[/red],20.5\n")
    return shared_mesh.folder


def test_a_run_is_followed_and_its_output_shown_and_saved(shared_mesh: RealMesh, shop: Path) -> None:
    done = shared_mesh.cli(
        "run", "totals.yaml", "-i", "orders=orders.csv", "-p", "least=5", "--out", "got", "--format", "csv"
    )
    assert "dear: 2 rows" in done.stdout
    assert "[red]pot[/red]" in done.stdout, "nothing in the data is markup"
    assert (shop / "got" / "dear.csv").read_text().replace('"', "").splitlines() == [
        "item,price",
        "cup,8.0" if "8.0" in (shop / "got" / "dear.csv").read_text() else "cup,8",
        "[red]pot[/red],20.5",
    ]


def test_without_follow_the_run_is_only_accepted(shared_mesh: RealMesh, shop: Path) -> None:
    accepted = shared_mesh.json("run", "totals.yaml", "-i", "orders=orders.csv")
    assert accepted["id"].startswith("run-")
    document = shared_mesh.json("show", accepted["id"], "--follow")
    assert document["state"] == "succeeded"
    assert document["outputs"]["dear"]["rows"] == 3


def test_an_uploaded_file_can_be_used_again_by_its_name(shared_mesh: RealMesh, shop: Path) -> None:
    shared_mesh.cli("run", "totals.yaml", "-i", "orders=orders.csv", "--follow")
    shared_mesh.cli("run", "totals.yaml", "-i", "orders=@orders.csv", "--follow")


def test_a_run_gets_the_very_file_that_was_handed_in(shared_mesh: RealMesh, shop: Path) -> None:
    (shop / "other").mkdir()
    (shop / "other" / "orders.csv").write_text("item,price\nsole,1\n")
    first = shared_mesh.json("run", "totals.yaml", "-i", "orders=orders.csv")["id"]
    second = shared_mesh.json("run", "totals.yaml", "-i", "orders=other/orders.csv")["id"]
    assert shared_mesh.finish(first)["outputs"]["dear"]["rows"] == 3
    assert shared_mesh.finish(second)["outputs"]["dear"]["rows"] == 1


@pytest.mark.full
def test_lists_are_tables_and_json(shared_mesh: RealMesh, shop: Path) -> None:
    run = shared_mesh.json("run", "totals.yaml", "-i", "orders=orders.csv", "--follow")["id"]
    assert run in shared_mesh.cli("runs", "--flow", "totals").stdout
    assert run in {found["id"] for found in shared_mesh.json("runs", "--state", "succeeded")["runs"]}
    assert "table.filter" in shared_mesh.cli("modules").stdout
    assert {"io.read", "table.filter"} <= {module["name"] for module in shared_mesh.json("modules")}
    assert "alive" in shared_mesh.cli("instances").stdout
    assert shared_mesh.json("instances")[0]["usable"]
    assert "succeeded" in shared_mesh.cli("show", run).stdout


def test_a_flow_with_errors_names_line_and_column_and_exits_with_2(shared_mesh: RealMesh, shop: Path) -> None:
    for command in (("validate", "bad.yaml"), ("run", "bad.yaml")):
        assert "bad.yaml:3:" in shared_mesh.cli(*command, code=2).stderr
    checked = shared_mesh.json("validate", "bad.yaml", code=2)
    assert checked["problems"][0]["line"] == 3
    assert "totals is valid" in shared_mesh.cli("validate", "totals.yaml").stdout


def test_a_module_that_nobody_serves_is_a_warning_unless_strict(shared_mesh: RealMesh, shop: Path) -> None:
    (shop / "absent.yaml").write_text(flow_of("not.there"))
    assert "warning" in shared_mesh.cli("validate", "absent.yaml").stderr
    assert "not.there" in shared_mesh.cli("run", "absent.yaml", "--strict", code=2).stderr


def test_a_failed_run_exits_with_1_and_says_why(shared_mesh: RealMesh, shop: Path) -> None:
    (shop / "bad.py").write_text(FAILING)
    (shop / "divide.yaml").write_text(flow_of("bad.divide"))
    shared_mesh.start("module", "serve", "bad.py")
    done = shared_mesh.cli("run", "divide.yaml", "--follow", code=1)
    assert "ZeroDivisionError" in done.stdout
    assert "plugmesh logs" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("show", "run-nope"), 4, "there is no run 'run-nope'"),
        (("cancel", "run-nope"), 4, "there is no run 'run-nope'"),
        (("run", "nowhere.yaml"), 4, "there is no flow file nowhere.yaml"),
        (("run", "totals.yaml", "-i", "orders=nope.csv"), 4, "there is no such file"),
        (("run", "totals.yaml", "-i", "orders=@nope.csv"), 2, "nope.csv"),
        (("run", "totals.yaml", "-i", "orders"), 2, "write --input NAME=VALUE"),
        (
            ("run", "totals.yaml", "-p", "least=many", "-i", "orders=orders.csv"),
            2,
            "is no number, which the flow asks for",
        ),
        (("run", "totals.yaml", "-p", "leest=3", "-i", "orders=orders.csv"), 2, "leest"),
        (("run",), 2, "FLOW"),
        (("module", "serve", "nope.py"), 4, "there is no file nope.py"),
        (("modules", "--url", "http://127.0.0.1:9"), 3, "plugmesh up"),
        (("modules", "--url", "nonsense"), 2, "no address of a mesh"),
    ],
)
def test_mistakes_are_named_with_their_exit_codes(
    shared_mesh: RealMesh, shop: Path, arguments: tuple[str, ...], code: int, words: str
) -> None:
    assert words in Command(shared_mesh).cli(*arguments, code=code).stderr


def test_errors_are_json_where_json_was_asked_for(shared_mesh: RealMesh, shop: Path) -> None:
    error = json.loads(shared_mesh.cli("show", "run-nope", "--json", code=4).stderr)["error"]
    assert error["code"] == "not-found"


def test_on_a_terminal_the_progress_is_a_table(shared_mesh: RealMesh, shop: Path) -> None:
    ours, theirs = pty.openpty()
    command = [PLUGMESH, "run", "totals.yaml", "-i", "orders=orders.csv", "-f", "--url", shared_mesh.url]
    process = subprocess.Popen(command, cwd=shop, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    text = b""
    while True:
        try:
            text += os.read(ours, 4096)
        except OSError:  # the other end is closed
            break
    os.close(ours)
    assert process.wait(timeout=60) == 0
    assert b"STEP" in text
    assert b"succeeded" in text


def test_ctrl_c_leaves_the_run_alone_and_exits_with_130(shared_mesh: RealMesh, shop: Path) -> None:
    (shop / "parks.yaml").write_text(flow_of("not.there.either"))
    process = shared_mesh.start("run", "parks.yaml", "--follow")
    wait_until_sync(lambda: "parked" in shared_mesh.said_last(), 30)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=30) == 130
    assert "the run goes on" in shared_mesh.said_last()


@pytest.mark.full
def test_a_follower_waits_for_a_mesh_that_is_started_again(make_mesh: object, mesh: RealMesh) -> None:
    (mesh.folder / "parks.yaml").write_text(flow_of("comes.later"))
    process = mesh.start("run", "parks.yaml", "--follow")
    wait_until_sync(lambda: "parked" in mesh.said_last(), 30)
    mesh.kill_server()
    wait_until_sync(lambda: "the run is not lost" in mesh.said_last(), 30)
    mesh.up()
    run = mesh.json("runs")["runs"][0]["id"]
    mesh.cli("cancel", run)
    assert process.wait(timeout=30) == 1


@pytest.mark.full
def test_a_second_server_on_the_same_folder_or_port_is_refused(shared_mesh: RealMesh) -> None:
    port = str(shared_mesh.port + 700)
    folder = shared_mesh.cli("up", "--port", port, "--data", str(shared_mesh.data), code=2)
    assert "in use by another Plugmesh server" in folder.stderr
    taken = shared_mesh.cli("up", "--port", str(shared_mesh.port), "--data", "elsewhere", code=2)
    assert "another port with --port" in taken.stderr
    assert "is no folder" in shared_mesh.cli("up", "--port", port, "--data", "else", "--modules", "no", code=2).stderr


def test_the_module_form_is_the_same_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "plugmesh", "--version"], capture_output=True, text=True, check=True, cwd="/"
    )
    assert done.stdout.startswith("plugmesh ")
