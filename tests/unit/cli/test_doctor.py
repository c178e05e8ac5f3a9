"""What the doctor says of facts."""

import os
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from plugmesh.cli.commands.doctor import machine, mesh, modules, storage
from plugmesh.cli.commands.doctor.check import Check, Verdict, ok, problem, warning
from plugmesh.cli.commands.doctor.command import report

FOLDER = storage.Folder(Path("/data"), free_bytes=10**12)
SERVED = mesh.Served("http://here", version="1.0", ready={"state": "ok"}, clock_ahead_s=0.0)
ALIVE = {"id": "inst-1", "host": "h", "liveness": "alive", "usable": True, "slots": 2, "refused": []}
POISON = {"module": "shop.price", "version": "1.2.0", "kind": "quarantined", "reason": "3 runs ended its process"}
GIB = 1024**3


@pytest.mark.parametrize(
    ("check", "verdict", "words"),
    [
        (machine.check_python((3, 10, 1)), "problem", "install Python 3.11"),
        (machine.check_python((3, 11, 0)), "ok", ""),
        (machine.check_libraries([machine.Library("rich", "14", "13.9.1")]), "problem", "pip install"),
        (machine.check_libraries([machine.Library("rich", "14", None)]), "problem", "pip install"),
        (machine.check_libraries([machine.Library("rich", "14", "14.0.0rc1")]), "ok", ""),
        (machine.check_limits(machine.Limits(files=200)), "problem", "ulimit -n"),
        (machine.check_limits(machine.Limits(files=1000)), "warning", "ulimit -n"),
        (machine.check_limits(machine.Limits(files=4096, maps=1000)), "warning", "max_map_count"),
        (machine.check_limits(machine.Limits()), "ok", ""),
        (storage.check_folder(replace(FOLDER, exists=False), asked=False), "ok", ""),
        (storage.check_folder(replace(FOLDER, exists=False), asked=True), "problem", "--data"),
        (storage.check_folder(replace(FOLDER, is_folder=False), asked=True), "problem", "--data"),
        (storage.check_folder(replace(FOLDER, writable=False, owner=5, user=6), asked=True), "problem", "chown"),
        (storage.check_folder(replace(FOLDER, owner=5, user=6), asked=True), "warning", "one user"),
        (storage.check_folder(replace(FOLDER, mode=0o755), asked=True), "warning", "chmod 700"),
        (storage.check_folder(FOLDER, asked=True), "ok", ""),
        (storage.check_room(replace(FOLDER, free_bytes=10**6)), "problem", "plugmesh data gc"),
        (storage.check_room(replace(FOLDER, free_bytes=GIB)), "warning", "plugmesh data ls"),
        (storage.check_secrets(replace(FOLDER, secrets={"token": 0o644})), "problem", "token rotate"),
        (
            storage.check_secrets(replace(FOLDER, secrets={"webhook-key": 0o644})),
            "problem",
            "receivers need the new one",
        ),
        (storage.check_secrets(replace(FOLDER, secrets={"token": 0o600})), "ok", ""),
        (storage.check_database(storage.Database(said="row 1 missing from index x")), "problem", "backup"),
        (storage.check_database(storage.Database(wal_bytes=GIB, said="ok")), "warning", "start the mesh again"),
        (storage.check_database(storage.Database(said="ok", finished=False)), "warning", "quick_check"),
        (storage.check_database(storage.Database(in_use_by="7")), "ok", ""),
        (storage.check_leftovers(storage.Leftovers(3, 10, 7200), served=False), "warning", "plugmesh up"),
        (storage.check_logs(2 * GIB), "warning", "remove old ones"),
        (mesh.check_server(replace(SERVED, error="nobody", is_away=True), "1.0"), "warning", "plugmesh up"),
        (mesh.check_server(replace(SERVED, error="what answers is no Plugmesh"), "1.0"), "problem", "--port"),
        (mesh.check_server(SERVED, "2.0"), "warning", "use one version"),
        (mesh.check_server(replace(SERVED, error="broke off", is_silent=True), "1.0"), "problem", "stopped or busy"),
        (mesh.check_server(replace(SERVED, version=""), "1.0"), "ok", ""),
        (mesh.check_quarantine(SERVED), "ok", ""),
        (mesh.check_quarantine(replace(SERVED, switches=[{"kind": "disabled"}])), "ok", ""),
        (mesh.check_quarantine(replace(SERVED, switches=[POISON])), "warning", "`plugmesh modules shop.price`"),
        (mesh.check_hub(replace(SERVED, instances=[{**ALIVE, "connected": False}])), "warning", "join again"),
        (mesh.check_hub(replace(SERVED, instances=[{**ALIVE, "connected": True}])), "ok", ""),
        (mesh.check_hub(replace(SERVED, instances=[{**ALIVE, "connected": None}])), "ok", ""),
        (
            mesh.check_versions(replace(SERVED, instances=[{**ALIVE, "sdk": "python/0.9"}]), "1.0"),
            "warning",
            "install 1.0",
        ),
        (mesh.check_versions(replace(SERVED, instances=[{**ALIVE, "sdk": "python/1.0"}]), "1.0"), "ok", ""),
        (mesh.check_ready(replace(SERVED, ready={"state": "locked"})), "problem", "logged"),
        (mesh.check_clock(replace(SERVED, clock_ahead_s=31_536_000.0)), "warning", "NTP"),
        (mesh.check_clock(replace(SERVED, clock_ahead_s=None)), "warning", "proxy"),
        (mesh.check_instances(SERVED), "warning", "plugmesh module serve"),
        (mesh.check_instances(replace(SERVED, instances=[ALIVE])), "ok", ""),
        (
            mesh.check_instances(replace(SERVED, instances=[ALIVE, {**ALIVE, "liveness": "suspect"}])),
            "warning",
            "network",
        ),
        (
            mesh.check_instances(
                replace(
                    SERVED,
                    instances=[{**ALIVE, "refused": [{"module": "a.b", "version": "1.0.0", "difference": "params"}]}],
                )
            ),
            "warning",
            "new version",
        ),
        (mesh.check_waiting(replace(SERVED, waiting=["run-1: it is parked"] * 7)), "warning", "plugmesh cancel"),
        (modules.check_file(modules.ModuleFile(Path("a.py"), error="a.py:1: SyntaxError")), "problem", "module dev"),
        (modules.check_file(modules.ModuleFile(Path("a.py"))), "problem", "@module"),
        (modules.check_file(modules.ModuleFile(Path("a.py"), ("a.b@0.1.0",))), "ok", ""),
    ],
)
def test_each_part_is_judged_and_says_what_to_do(check: Check, verdict: str, words: str) -> None:
    assert check.verdict == verdict
    assert words in check.todo
    assert bool(check.todo) == (verdict != "ok")


def test_a_mesh_that_wants_a_token_is_not_asked_further() -> None:
    checks = list(mesh.checks_of(replace(SERVED, refused="this mesh asks for a token"), "1.0"))
    assert checks[-1].part == "API"
    assert "PLUGMESH_TOKEN" in checks[-1].todo


def test_a_watched_file_that_is_not_plugged_in_is_named_with_what_its_process_said_last() -> None:
    said = "12:00 trying\nplugmesh: /m/a.py:3: SyntaxError: '(' was never closed\n    @module('is.broken'\n"
    files = [
        {"file": "/m/a.py", "reason": said, "todo": "correct it"},
        {"file": "/m/b.py", "reason": "x\nkilled", "todo": "w"},
    ]
    check = mesh.check_files(replace(SERVED, unplugged=files))
    assert "/m/a.py: /m/a.py:3: SyntaxError: '(' was never closed; /m/b.py: killed" in check.found
    assert (check.verdict, check.todo) == (Verdict.WARNING, "correct it")
    assert mesh.check_files(SERVED).verdict is Verdict.OK


def test_nothing_more_is_said_of_a_mesh_that_is_away() -> None:
    assert len(list(mesh.checks_of(replace(SERVED, error="x", is_away=True), "1.0"))) == 1


def test_only_what_the_base_the_command_and_the_server_need_is_looked_for() -> None:
    lines = [
        "pyarrow>=21",
        'typer>=0.16; extra == "cli"',
        "uvicorn[standard]>=0.35; extra == 'server'",
        'aiokafka[lz4]>=0.14; extra == "kafka"',
        'plugmesh[server,cli]; extra == "all"',
    ]
    assert machine.requirements(lines) == {"pyarrow": "21", "typer": "0.16", "uvicorn": "0.35"}


def test_a_database_that_nobody_has_is_checked_and_left_as_it_was(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / storage.DATABASE)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.executescript("CREATE TABLE t (n); INSERT INTO t VALUES (1)")
    connection.close()
    before = (tmp_path / storage.DATABASE).read_bytes()
    assert storage.database_in(tmp_path).said == "ok"
    assert (tmp_path / storage.DATABASE).read_bytes() == before


def test_a_damaged_database_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / storage.DATABASE).write_bytes(b"SQLite format 3\0" + b"\xff" * 5000)
    assert storage.check_database(storage.database_in(tmp_path)).verdict is Verdict.PROBLEM


def test_old_half_written_files_are_counted_and_new_ones_are_not(tmp_path: Path) -> None:
    folder = tmp_path / storage.OBJECTS / "tmp"
    folder.mkdir(parents=True)
    (folder / "new").write_bytes(b"12345")
    (folder / "old").write_bytes(b"123")
    os.utime(folder / "old", (1_000_000, 1_000_000))
    now = (folder / "new").stat().st_mtime
    assert storage.leftovers_in(tmp_path, now).files == 1
    assert storage.leftovers_in(tmp_path, now).bytes == 3


def test_files_that_are_free_to_be_written_again_are_counted(tmp_path: Path) -> None:
    folder = tmp_path / storage.OBJECTS / "free"
    folder.mkdir(parents=True)
    (folder / "2000000-7").write_bytes(bytes(2_000_000))
    found = storage.check_leftovers(storage.leftovers_in(tmp_path, 0.0), served=True)
    assert (found.verdict, found.found) == ("ok", "nothing was left half-written; 2.0 MB free to be written again")


def test_a_file_is_imported_in_another_process(tmp_path: Path) -> None:
    good, bad, dead = tmp_path / "good.py", tmp_path / "bad.py", tmp_path / "dead.py"
    good.write_text("from module_sdk import module\nprint('noise')\n\n@module('a.b')\ndef b() -> int:\n    return 1\n")
    bad.write_text("import nowhere_at_all\n")
    dead.write_text("import os\nos._exit(3)\n")
    assert modules.imported(good).modules == ("a.b@0.1.0",)
    assert "bad.py:1: ModuleNotFoundError" in modules.imported(bad).error
    assert "ended the process (3)" in modules.imported(dead).error


def test_the_report_counts_and_shows_no_control_characters() -> None:
    console = Console(width=80, record=True, file=open(os.devnull, "w"))  # noqa: SIM115  closed with the process
    with console.file:
        console.print(
            report([ok("a", "fine"), warning("b", "so\x1b[2J so", "do\nthis"), problem("c", "bad", "do that")])
        )
    text = console.export_text()
    assert "1 problem, 1 warning" in text
    assert "→ do this" in text
    assert "\x1b" not in text
