"""The commands beyond running a flow: looking, logs, data, files, saved flows, modules, replay, doctor.

The mesh is of real processes; the commands run in this one, for a process a command would take most of the time.
"""

import json
from pathlib import Path

import pytest

from tests.e2e.authors import FAILING, flow_of
from tests.e2e.commands import Command
from tests.e2e.real_mesh import RealMesh
from tests.waiting import wait_until_sync


@pytest.fixture(scope="module")
def command(shared_mesh: RealMesh) -> Command:
    """Commands for the mesh."""
    return Command(shared_mesh)


FLOW = """\
flow: shop/totals
inputs:
  orders: {kind: file}
params:
  least: {type: number, default: 0}
nodes:
  read: {module: io.read, params: {file: "${inputs.orders}"}}
  dear: {module: table.filter, in: read, params: {where: "price >= ${params.least}"}}
outputs:
  dear: dear
"""


@pytest.fixture(scope="module")
def shop(shared_mesh: RealMesh) -> Path:
    """A folder with a flow, its data and a module that fails, which is served."""
    folder = shared_mesh.folder
    (folder / "totals.yaml").write_text(FLOW)
    (folder / "orders.csv").write_text("item,price\ntea,3.5\ncup,8.0\npot,20.5\n")
    (folder / "bad.py").write_text(FAILING)
    (folder / "bad.yaml").write_text(flow_of("bad.divide"))
    shared_mesh.start("module", "serve", "bad.py")
    wait_until_sync(lambda: "bad.divide" in shared_mesh.module_names(), 30)
    return folder


@pytest.fixture(scope="module")
def run(command: Command, shop: Path) -> str:
    """A run that succeeded."""
    return str(command.json("run", "totals.yaml", "-i", "orders=orders.csv", "-f", "-l", "team=a")["id"])


@pytest.fixture(scope="module")
def failed(command: Command, shop: Path) -> str:
    """A run that failed."""
    return str(command.json("run", "bad.yaml", "-f", code=1)["id"])


@pytest.mark.full
def test_runs_are_found_by_label_and_time(command: Command, run: str) -> None:
    found = [one["id"] for one in command.json("runs", "--label", "team=a", "--since", "1h")["runs"]]
    assert found == [run]
    assert command.json("runs", "--label", "team=b")["runs"] == []
    assert "no such runs" in command.cli("runs", "--until", "2001-01-01").stdout
    assert "is no time" in command.cli("runs", "--since", "soon", code=2).stderr
    assert "--label NAME=VALUE" in command.cli("runs", "--label", "team", code=2).stderr


def test_a_run_shows_what_its_steps_used(command: Command, run: str) -> None:
    said = command.cli("show", run).stdout
    assert "labels team=a" in said
    assert "2 steps: 2 succeeded" in said
    assert "3 → 3" in said
    step = next(one for one in command.json("show", run)["steps"] if one["id"] == "read")
    assert step["stats"]["rows_out"] == 3


def test_a_step_shows_its_error_and_how_to_read_its_log(command: Command, failed: str) -> None:
    said = command.cli("show", failed, "--step", "it").stdout
    assert "bad.divide@0.1.0 on inst-" in said
    assert "ZeroDivisionError" in said
    assert "return pa.table" in said, "the traceback"
    assert f"plugmesh logs {failed} it" in said


AGAIN = """\
flow: shop/again
inputs:
  orders: {kind: file}
params:
  by: {type: integer, default: 0}
nodes:
  read: {module: io.read, params: {file: "${inputs.orders}"}}
  it: {module: bad.divide, after: [read], params: {by: "${params.by}"}}
outputs:
  orders: read
"""


@pytest.mark.full
def test_a_failed_run_is_run_again_without_the_steps_that_succeeded(command: Command, shop: Path) -> None:
    (shop / "again.yaml").write_text(AGAIN)
    failed = command.json("run", "again.yaml", "-i", "orders=orders.csv", "-f", code=1)["id"]
    said = command.cli("rerun", failed, "-p", "by=1", "--follow").stdout
    assert "is accepted: 1 step recovered, 1 runs again" in said
    (again,) = command.json("show", failed)["reruns"]
    shown = command.cli("show", again).stdout
    assert f"rerun of {failed}; 1 of its steps recovered" in shown
    assert "2 steps: 1 recovered, 1 succeeded" in shown or "2 steps: 1 succeeded, 1 recovered" in shown
    assert "pot" in command.cli("data", "rows", again, "read").stdout
    assert "nothing would run again" in command.cli("rerun", again, code=2).stderr
    refused = command.cli("rerun", again, "--start", "--from", "it", code=2).stderr
    assert "choose one of them" in " ".join(refused.split())


def test_a_timeline_has_a_line_for_each_step(command: Command, run: str) -> None:
    lines = command.cli("show", run, "--timeline").stdout.splitlines()
    assert [line.split()[0] for line in lines if line.startswith(("read", "dear"))] == ["read", "dear"]
    assert {step["id"] for step in command.json("show", run, "--timeline")["steps"]} == {"read", "dear"}


def test_logs_are_filtered_and_are_json_lines(command: Command, failed: str) -> None:
    assert "about to divide" in command.cli("logs", failed).stdout
    assert "it: " in command.cli("logs", failed, "--follow").stdout
    line = json.loads(command.cli("logs", failed, "it", "--search", "divide", "--json").stdout.splitlines()[0])
    assert line["step"] == "it"
    assert command.cli("logs", failed, "--search", "no such words").stdout == ""
    assert "nope" in command.cli("logs", failed, "nope", code=4).stderr


def test_events_of_a_run_are_told_until_its_end(command: Command, shop: Path) -> None:
    run = str(command.json("run", "totals.yaml", "-i", "orders=orders.csv")["id"])
    said = command.cli("events", "--run", run).stdout
    assert f"{run} is succeeded" in said or f"{run} has already ended" in said, "it may end before anybody looks"
    assert "has already ended" in command.cli("events", "--run", run).stdout
    assert "bogus" in command.cli("events", "--topic", "bogus", code=2).stderr


def test_data_is_looked_at_and_saved(command: Command, run: str, shop: Path) -> None:
    said = command.cli("data", "rows", run, "dear", "--sort=-price", "--filter", "price > 5", "--limit", "1").stdout
    assert "pot" in said
    assert "2 of 3 rows match" in said
    assert "price" in command.cli("data", "schema", run, "dear").stdout
    assert command.json("data", "stats", run, "dear", "--columns", "price")["columns"][0]["nulls"] == 0
    assert "different" not in command.cli("data", "stats", run, "dear").stderr
    command.cli("data", "download", run, "dear", "--out", "dear.csv")
    poured = command.cli("data", "download", run, "dear", "--out", "-", "--format", "csv").stdout
    assert poured == (shop / "dear.csv").read_text()
    assert len((shop / "dear.csv").read_text().splitlines()) == 4
    assert "has no output" in command.cli("data", "rows", run, "dear", "nope", code=4).stderr


def test_files_are_put_listed_fetched_and_removed(command: Command, shop: Path) -> None:
    command.cli("files", "put", "orders.csv", "kept.csv")
    command.cli("files", "put", "totals.yaml", "kept.csv")
    assert [one["name"] for one in command.json("files", "ls", "kept")["files"]] == ["kept.csv"]
    versions = command.json("files", "versions", "kept.csv")["versions"]
    assert len(versions) == 2
    assert command.cli("files", "get", "kept.csv", "--out", "-").stdout == (shop / "totals.yaml").read_text()
    command.cli("files", "get", "kept.csv", "--out", "back.csv", "--version", str(versions[-1]["version"]))
    assert (shop / "back.csv").read_bytes() == (shop / "orders.csv").read_bytes()
    assert "--yes" in command.cli("files", "rm", "kept.csv", code=2).stderr
    command.cli("files", "rm", "kept.csv", "--yes")
    assert "kept.csv" in command.cli("files", "get", "kept.csv", code=4).stderr


def test_a_fetch_that_was_cut_off_is_resumed(command: Command, shop: Path) -> None:
    command.cli("files", "put", "orders.csv", "long.csv")
    command.cli("files", "get", "long.csv", "--out", "whole.csv")
    whole = (shop / "whole.csv").read_bytes()
    stored = command.json("files", "versions", "long.csv")["versions"][0]
    (shop / "part.csv.part").write_bytes(whole[:10])
    (shop / "part.csv.part.of").write_text(f'"{stored["hash"]}"')
    command.cli("files", "get", "long.csv", "--out", "part.csv")
    assert (shop / "part.csv").read_bytes() == whole
    (shop / "other.csv.part").write_bytes(b"something else")
    (shop / "other.csv.part.of").write_text('"xxh3:of-another-version"')
    command.cli("files", "get", "long.csv", "--out", "other.csv")
    assert (shop / "other.csv").read_bytes() == whole
    assert not list(shop.glob("*.part*"))


@pytest.mark.full
def test_flows_are_saved_compared_and_run_by_name(command: Command, shop: Path) -> None:
    assert "revision 1" in command.cli("flows", "put", "totals.yaml", "-m", "first").stdout
    assert "is unchanged" in command.cli("flows", "put", "totals.yaml").stdout
    (shop / "second.yaml").write_text(FLOW.replace("price >=", "price >"))
    assert "revision 2" in command.cli("flows", "put", "second.yaml", "-m", "second").stdout
    assert "nodes changed: dear" in command.cli("flows", "diff", "shop/totals").stdout
    assert [(one["name"], one["revision"]) for one in command.json("flows", "ls")["flows"]] == [("totals", 2)]
    assert [one["message"] for one in command.json("flows", "history", "shop/totals")["revisions"]][-1] == "first"
    assert command.cli("flows", "get", "shop/totals", "--revision", "1").stdout == FLOW
    command.cli("run", "shop/totals@1", "-i", "orders=orders.csv", "-p", "least=5", "-f")
    assert "errors" in command.cli("flows", "put", "orders.csv", code=2).stderr
    command.cli("flows", "rm", "shop/totals", "--yes")
    assert "totals" in command.cli("run", "shop/totals@1", code=4).stderr


def test_a_run_for_each_line_of_a_file(command: Command, shop: Path) -> None:
    command.cli("files", "put", "orders.csv")
    lines = ['{"params": {"least": 1}}', '{"params": {"least": "x"}}', '{"params": {"least": 9}, "labels": {"n": "3"}}']
    (shop / "each.jsonl").write_text("\n".join(lines))
    arguments = ("run", "totals.yaml", "-i", "orders=@orders.csv", "--each", "each.jsonl", "--key", "each-1")
    done = command.cli(*arguments, "-f", code=2)
    assert "2 of 3 runs accepted" in done.stdout
    assert "2 succeeded" in done.stdout
    assert "line 2: " in done.stderr
    assert "2 of them were there already" in command.cli(*arguments, code=2).stdout
    (shop / "wrong.jsonl").write_text('{"param": 1}\n')
    assert "wrong.jsonl:1" in command.cli("run", "totals.yaml", "--each", "wrong.jsonl", code=2).stderr


def test_a_run_that_has_ended_can_be_removed(command: Command, shop: Path) -> None:
    run = command.json("run", "totals.yaml", "-i", "orders=orders.csv", "-f")["id"]
    assert "--yes" in command.cli("rm", run, code=2).stderr
    command.cli("rm", run, "--yes")
    command.cli("show", run, code=4)


def test_a_module_shows_its_contract_docs_versions_and_users(command: Command, run: str) -> None:
    assert "file (file, required)" in command.cli("modules", "io.read").stdout
    assert "# " in command.cli("modules", "io.read", "--docs").stdout
    assert "sha256:" in command.cli("modules", "io.read", "--versions").stdout
    assert "saved flows: " in command.cli("modules", "io.read", "--users").stdout
    assert "Read a CSV" in command.cli("modules").stdout, "what it does, not its name again"
    assert "io.read" in command.cli("modules", "io.raed", code=4).stderr


def test_a_module_is_switched_off_and_on(command: Command, shared_mesh: RealMesh, failed: str) -> None:
    command.cli("module", "disable", "bad.divide", "--reason", "it divides by nothing")
    run = command.json("run", "bad.yaml")["id"]
    shared_mesh.wait_for_step(run, "it", "parked")
    assert "disabled" in command.cli("modules").stdout
    assert "it divides by nothing" in command.cli("show", run).stdout
    command.cli("module", "enable", "bad.divide")
    shared_mesh.finish(run, "failed")


def test_one_instance_is_shown(command: Command, shared_mesh: RealMesh, shop: Path) -> None:
    instance = shared_mesh.instances()[0]["id"]
    assert "heard from" in command.cli("instances", instance).stdout
    command.cli("drain", "inst-nope", code=4)


def test_settings_are_changed_and_put_back(command: Command, shop: Path) -> None:
    command.cli("settings", "set", "rows_default", "50")
    changed = {one["name"]: one["value"] for one in command.json("settings", "ls", "--changed")["settings"]}
    assert changed["rows_default"] == 50
    command.cli("settings", "unset", "rows_default")
    assert "rows_default" in command.cli("settings", "set", "rows_defalut", "5", code=4).stderr


@pytest.mark.full
def test_a_step_is_replayed_and_compared(shared_mesh: RealMesh, run: str, failed: str, shop: Path) -> None:
    said = shared_mesh.cli("replay", run, "dear").stdout
    assert "the same as the accepted output" in said
    again = shared_mesh.cli("replay", failed, "it", "--file", "bad.py", code=1)
    assert "bad.py:10: ZeroDivisionError" in again.stderr
    changed = (shop / "changed.py").with_name("changed.py")
    changed.write_text(FAILING.replace("by: int = 0", "by: int = 2"))
    refused = shared_mesh.cli("replay", failed, "it", "--file", "changed.py", code=2).stderr
    assert "params.properties.by.default: 0, here 2" in refused
    shared_mesh.cli("replay", failed, "it", "--file", "changed.py", "--force")


def test_the_doctor_finds_a_mesh_well_and_a_broken_module(command: Command, shared_mesh: RealMesh, shop: Path) -> None:
    checks = command.json("doctor", "--data", str(shared_mesh.data))["checks"]
    assert {check["part"] for check in checks} >= {"server", "database", "clock", "instances"}
    assert not [check for check in checks if check["verdict"] == "problem"]
    found = command.json("doctor", "--invariants", "--hashes", "--data", str(shared_mesh.data))
    assert (found["violations"], found["checked"]["runs"] > 0) == ([], True)
    (shop / "plugs").mkdir()
    (shop / "plugs" / "broken.py").write_text("from module_sdk import nothing_like_it\n")
    done = command.cli("doctor", "--modules", "plugs", code=1)
    assert "broken.py:1: ImportError" in done.stdout
