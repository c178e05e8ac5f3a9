"""`sql.write`: every row once, whoever tries and however often; and every error in words."""

from __future__ import annotations

import datetime as dt
import os
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from module_sdk import Columns, Context, DataError, FatalError, TransientError
from module_sdk.testing import run
from module_sdk.workspace import Workspace
from modules import sql_write as module_file
from modules.sql_sqlite import SqliteTarget, quoted
from modules.sql_target import EFFECTS, Destination, Effect
from modules.sql_write import FOLDERS, sql_write
from plugmesh.objects.local import LocalStore

Write = Callable[..., Any]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where databases may lie."""
    (tmp_path / "db").mkdir()
    monkeypatch.setenv(FOLDERS, str(tmp_path / "db"))
    return tmp_path / "db"


@pytest.fixture
def write(folder: Path, tmp_path: Path) -> Write:
    """Call the module as an attempt of a step; `who` are fields of its context."""
    workspace = Workspace(lambda: LocalStore(tmp_path / "store", keep_free_bytes=0), str)

    def attempt(columns: Any, *, who: dict[str, Any] | None = None, **params: Any) -> Any:
        rows = columns if isinstance(columns, pa.Table) else pa.table(columns)
        ctx = Context(
            workspace, **{"run": "r1", "step": "s", "fingerprint": lambda: str(rows.to_pydict()), **(who or {})}
        )
        return sql_write(rows.to_reader(), ctx=ctx, **{"url": "sqlite:///t.db", "table": "t", **params})

    return attempt


def ask(folder: Path, question: str, name: str = "t.db") -> list[Any]:
    with closing(sqlite3.connect(folder / name)) as connection:
        return connection.execute(question).fetchall()


ROWS: dict[str, list[Any]] = {"n": list(range(25)), "s": [f"x{n}" for n in range(25)]}


# -- once ------------------------------------------------------------------------------------------------------------


def test_rows_are_written_into_a_table_that_is_made(write: Write, folder: Path) -> None:
    assert write(ROWS) == {"rows": 25, "written": 25, "skipped": 0}
    assert ask(folder, "SELECT n, s FROM t ORDER BY n") == list(zip(ROWS["n"], ROWS["s"], strict=True))
    assert ask(folder, "SELECT type FROM pragma_table_info('t')") == [("INTEGER",), ("TEXT",)]


def test_another_attempt_or_rerun_writes_nothing_again(write: Write, folder: Path) -> None:
    write(ROWS)
    for who in ({"attempt": 2}, {"run": "r2", "root": "r1"}):
        assert write(ROWS, who=who) == {"rows": 25, "written": 0, "skipped": 25}
    assert ask(folder, "SELECT count(*) FROM t") == [(25,)]
    assert ask(folder, f"SELECT run, step, target, rows FROM {EFFECTS}") == [("r1", "s", "t", 25)]


def test_another_run_step_table_or_input_is_another_effect(write: Write, folder: Path) -> None:
    write(ROWS)
    write(ROWS, who={"run": "r2"})
    write(ROWS, who={"step": "s.1"})
    write({"n": [1], "s": ["y"]})
    write(ROWS, table="u")
    assert ask(folder, "SELECT count(*) FROM t") == [(76,)]
    assert ask(folder, "SELECT count(*) FROM u") == [(25,)]


def test_an_attempt_that_died_is_continued_where_it_was(
    write: Write, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module_file, "_BATCH_ROWS", 10)
    apply, calls = SqliteTarget.apply, []

    def dies(self: SqliteTarget, *arguments: Any) -> int:
        calls.append(arguments)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return apply(self, *arguments)

    with monkeypatch.context() as patched:
        patched.setattr(SqliteTarget, "apply", dies)
        with pytest.raises(KeyboardInterrupt):
            write(ROWS)
    assert ask(folder, "SELECT count(*) FROM t") == [(20,)]
    monkeypatch.setattr(module_file, "_BATCH_ROWS", 7)  # as another version might
    assert write(ROWS) == {"rows": 25, "written": 5, "skipped": 20}
    assert ask(folder, "SELECT n FROM t ORDER BY rowid") == [(n,) for n in range(25)]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data(), rows=st.integers(0, 30), attempts=st.integers(1, 4))
def test_any_interleaving_of_attempts_writes_each_row_once(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, rows: int, attempts: int
) -> None:
    """Each attempt has pieces of its own size, and may die at any of them; one gets to the end."""
    path = tmp_path_factory.mktemp("db") / "t.db"
    table = pa.table({"n": pa.array(range(rows), pa.int64())})
    effect = Effect("key", "r", "s")
    targets = [SqliteTarget(path, Destination("t")) for _ in range(attempts)]
    places, sizes = [0] * attempts, [data.draw(st.integers(1, 12)) for _ in range(attempts)]
    for target in targets:
        target._connection.execute("PRAGMA synchronous = OFF")
        target._connection.execute("PRAGMA journal_mode = MEMORY")
        target.prepare(table.schema)

    def step(who: int) -> None:
        part = table.slice(places[who], sizes[who]).combine_chunks().to_batches()
        for batch in part:
            targets[who].apply(effect, places[who], batch)
        places[who] += sizes[who]

    for who in data.draw(st.lists(st.integers(0, attempts - 1), max_size=30)):
        step(who)
    last = data.draw(st.integers(0, attempts - 1))
    places[last] = 0  # tried from its beginning
    while places[last] < rows:
        step(last)
    for target in targets:
        target.close()
    assert ask(path.parent, "SELECT n FROM t ORDER BY rowid") == [(n,) for n in range(rows)]


def test_two_attempts_at_once_write_each_row_once(write: Write, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module_file, "_BATCH_ROWS", 2)
    answers: list[dict[str, int]] = []
    threads = [threading.Thread(target=lambda: answers.append(write(ROWS))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(answer["written"] for answer in answers) == 25
    assert ask(folder, "SELECT n FROM t ORDER BY n") == [(n,) for n in range(25)]


# -- upsert ----------------------------------------------------------------------------------------------------------


def test_upsert_replaces_the_row_with_the_same_key(write: Write, folder: Path) -> None:
    key = {"mode": "upsert", "key": Columns(("n",))}
    write({"n": [1, 2], "s": ["a", "b"]}, **key)
    write({"n": [2, 3], "s": ["c", "d"]}, who={"run": "r2"}, **key)
    assert ask(folder, "SELECT n, s FROM t ORDER BY n") == [(1, "a"), (2, "c"), (3, "d")]


def test_upsert_of_keys_alone_leaves_what_is_there(write: Write, folder: Path) -> None:
    for run_ in ("r1", "r2"):
        write({"n": [1, 2]}, who={"run": run_}, mode="upsert", key=Columns(("n",)))
    assert ask(folder, "SELECT n FROM t") == [(1,), (2,)]


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"mode": "upsert"}, "give both"),
        ({"key": Columns(("n",))}, "give both"),
        ({"mode": "upsert", "key": Columns(("m",))}, "no column 'm'"),
    ],
)
def test_a_key_that_cannot_be_is_refused(write: Write, params: Any, words: str) -> None:
    with pytest.raises((FatalError, DataError), match=words):
        write(ROWS, **params)


def test_upsert_needs_a_unique_index_and_a_key_without_nulls(write: Write, folder: Path) -> None:
    key = {"mode": "upsert", "key": Columns(("n",))}
    write(ROWS)
    with pytest.raises(FatalError, match="CREATE UNIQUE INDEX"):
        write(ROWS, who={"run": "r2"}, **key)
    ask(folder, "CREATE UNIQUE INDEX by_n ON t (n)")
    assert write(ROWS, who={"run": "r2"}, **key)["written"] == 25
    with pytest.raises(DataError, match="'n' has nulls"):
        write({"n": [1, None], "s": ["a", "b"]}, **key)


@pytest.mark.parametrize(
    "column",
    [
        pa.array([1.0, float("nan")]),
        pa.DictionaryArray.from_arrays(pa.array([0, 1]), pa.array(["a", None])),
        pa.RunEndEncodedArray.from_arrays(pa.array([1, 2], pa.int32()), pa.array(["a", None])),
    ],
)
def test_a_key_that_becomes_null_in_the_database_is_refused_as_null_is(write: Write, column: pa.Array) -> None:
    with pytest.raises(DataError, match="'n' has nulls"):
        write(pa.table({"n": column, "s": [1, 2]}), mode="upsert", key=Columns(("n",)))


def test_letters_other_than_a_to_z_have_a_case_as_in_sqlite(write: Write, folder: Path) -> None:
    write({"Ä": [1], "ä": [2]})
    assert ask(folder, "SELECT * FROM t") == [(1, 2)]
    assert write(ROWS, table="Ö")["written"] == write(ROWS, table="ö")["written"] == 25


# -- values ----------------------------------------------------------------------------------------------------------

BERLIN = "Europe/Berlin"
X_AND_Y = pa.struct({"x": pa.float64(), "y": pa.binary()})
NOON = dt.datetime(2026, 7, 1, 12, 0, 0, 5, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("values", "kind", "stored", "type_"),
    [
        ([1, None, -(2**63)], pa.int64(), [1, None, -(2**63)], "INTEGER"),
        ([255], pa.uint8(), [255], "INTEGER"),
        ([1.5, float("nan"), None], pa.float64(), [1.5, None, None], "REAL"),
        ([1.5], pa.float16(), [1.5], "REAL"),
        ([True, False, None], pa.bool_(), [1, 0, None], "BOOLEAN"),
        (["ä\x00b", "", None], pa.string(), ["ä\x00b", "", None], "TEXT"),
        (["a"], pa.large_string(), ["a"], "TEXT"),
        (["a"], pa.string_view(), ["a"], "TEXT"),
        ([b"\x00\xff", None], pa.binary(), [b"\x00\xff", None], "BLOB"),
        ([b"ab"], pa.binary(2), [b"ab"], "BLOB"),
        ([NOON], pa.timestamp("us", BERLIN), ["2026-07-01T12:00:00.000005+00:00"], "TEXT"),
        ([1], pa.timestamp("ns"), ["1970-01-01T00:00:00.000000001"], "TEXT"),
        ([dt.date(2026, 1, 2), None], pa.date32(), ["2026-01-02", None], "TEXT"),
        ([dt.time(1, 2, 3)], pa.time64("us"), ["01:02:03.000000"], "TEXT"),
        ([Decimal("1.10"), None], pa.decimal128(5, 2), ["1.10", None], "TEXT"),
        ([dt.timedelta(seconds=2)], pa.duration("ms"), [2000], "INTEGER"),
        ([[1, None], None], pa.list_(pa.int64()), ["[1, null]", None], "TEXT"),
        ([{"x": float("inf"), "y": b"a"}], X_AND_Y, ['{"x": null, "y": "YQ=="}'], "TEXT"),
        (["a", "a"], pa.dictionary(pa.int8(), pa.string()), ["a", "a"], "TEXT"),
        ([None], pa.null(), [None], "TEXT"),
    ],
)  # fmt: skip
def test_every_type_has_its_place(
    write: Write, folder: Path, values: list[Any], kind: pa.DataType, stored: list[Any], type_: str
) -> None:
    write(pa.table({"v": pa.array(values, kind)}))
    assert [row[0] for row in ask(folder, "SELECT v FROM t ORDER BY rowid")] == stored
    assert ask(folder, "SELECT type FROM pragma_table_info('t')") == [(type_,)]


@pytest.mark.parametrize(
    "column",
    [
        pa.array([2**63], pa.uint64()),
        pa.array([(1, 2, 3)], pa.month_day_nano_interval()),
        pa.array([2**62], pa.timestamp("s")),
    ],
)
def test_what_no_database_can_hold_names_its_column(write: Write, column: pa.Array) -> None:
    with pytest.raises(DataError, match="'odd'"):
        write(pa.table({"odd": column}), who={"fingerprint": lambda: "f"})


NASTY = ['a"b', "select", "x; DROP TABLE t;--", "ä ö", "`", "[x]", "'", "%s", "?"]


@pytest.mark.parametrize("name", NASTY)
def test_names_are_names_whatever_is_in_them(write: Write, folder: Path, name: str) -> None:
    assert write({name: [1, 2]}, table=name)["written"] == 2
    assert ask(folder, f"SELECT {quoted(name)} FROM {quoted(name)}") == [(1,), (2,)]


# -- tables that are there -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("made", "words"),
    [
        ("CREATE TABLE t (n)", "no column 's'.*it has n"),
        ("CREATE TABLE t (n, s, must TEXT NOT NULL)", "needs a value for 'must'"),
        ("CREATE TABLE t (n UNIQUE CHECK (n < 20), s)", "a row was refused"),
        ("CREATE VIEW t AS SELECT 1 AS n, 2 AS s", "cannot modify t because it is a view"),
    ],
)
def test_a_table_that_does_not_fit_says_what_is_wrong(write: Write, folder: Path, made: str, words: str) -> None:
    ask(folder, made)
    with pytest.raises((DataError, FatalError), match=words):
        write(ROWS)
    assert ask(folder, "SELECT count(*) FROM t WHERE n = 0") == [(0,)]


def test_a_table_with_more_columns_and_other_cases_is_filled(write: Write, folder: Path) -> None:
    ask(folder, "CREATE TABLE t (id INTEGER PRIMARY KEY, N, S, extra DEFAULT 7)")
    write(ROWS)
    assert ask(folder, "SELECT id, n, s, extra FROM t LIMIT 1") == [(1, 0, "x0", 7)]


def test_without_create_a_missing_table_is_an_error(write: Write) -> None:
    with pytest.raises(FatalError, match="no table 't'"):
        write(ROWS, create=False)


@pytest.mark.parametrize(
    ("columns", "words"), [({}, "no columns"), ({"a": [1], "A": [2]}, "one for SQLite"), ({"": [1]}, "has a name")]
)
def test_columns_that_no_table_can_have_are_refused(write: Write, columns: Any, words: str) -> None:
    with pytest.raises(DataError, match=words):
        write(columns)


@pytest.mark.parametrize("name", ["sqlite_master", "_plugmesh_effects", "SQLITE_x", "a\nb"])
def test_names_that_are_taken_are_refused(write: Write, name: str) -> None:
    with pytest.raises(FatalError, match="cannot be the name of a table"):
        write(ROWS, table=name)


def test_an_empty_table_makes_a_table(write: Write, folder: Path) -> None:
    assert write(pa.table({"n": pa.array([], pa.int64())})) == {"rows": 0, "written": 0, "skipped": 0}
    assert ask(folder, "SELECT count(*) FROM t") == [(0,)]


# -- files -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("postgresql://u:secret@h/d", "^url: postgresql: is no database that sql.write knows.*sqlite:///"),
        ("orders.db", "is no database"),
        ("sqlite://orders.db", "is no database"),
        ("sqlite:///", "no name of a file"),
        ("sqlite:///:memory:", "no name of a file"),
        ("sqlite:///t.db?mode=rwc", "no name of a file"),
        ("sqlite:///../t.db", "in none of the folders"),
        ("sqlite:////etc/t.db", "in none of the folders"),
        ("sqlite:///no/such/t.db", "there is no folder"),
        ("sqlite:///t.db-journal", "SQLite itself uses"),
        ("sqlite:///t.db-wal", "SQLite itself uses"),
        ("sqlite:///" + "x" * 500, "cannot be used"),
    ],
)
def test_a_url_that_cannot_be_used_says_why(write: Write, url: str, words: str) -> None:
    with pytest.raises(FatalError, match=words) as told:
        write(ROWS, url=url)
    assert "secret" not in str(told.value)


def test_a_link_that_leads_outside_is_followed_and_refused(write: Write, folder: Path, tmp_path: Path) -> None:
    (folder / "t.db").symlink_to(tmp_path / "elsewhere.db")
    with pytest.raises(FatalError, match="in none of the folders"):
        write(ROWS)
    assert not (tmp_path / "elsewhere.db").exists()


def test_without_folders_nothing_is_written(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(FOLDERS)
    with pytest.raises(FatalError, match=FOLDERS):
        write(ROWS)


def test_other_folders_are_written_to_by_their_path(
    write: Write, tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "more").mkdir()
    monkeypatch.setenv(FOLDERS, os.pathsep.join([str(folder), str(tmp_path / "more")]))
    write(ROWS, url=f"sqlite:///{tmp_path}/more/t.db")
    assert ask(tmp_path / "more", "SELECT count(*) FROM t") == [(25,)]


def test_a_folder_or_something_else_is_no_database(write: Write, folder: Path) -> None:
    (folder / "t.db").mkdir()
    with pytest.raises(FatalError, match="is a folder"):
        write(ROWS)
    (folder / "text.db").write_text("no database" * 200)
    with pytest.raises(FatalError, match="no SQLite database"):
        write(ROWS, url="sqlite:///text.db")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everything")
def test_a_file_that_may_only_be_read_is_named(write: Write, folder: Path) -> None:
    write(ROWS)
    (folder / "t.db").chmod(0o400)
    with pytest.raises(FatalError, match=r"only be read|cannot be opened"):
        write(ROWS, who={"run": "r2"})


@pytest.mark.parametrize(
    ("code", "error", "words"),
    [
        (sqlite3.SQLITE_FULL, TransientError, "the disk is full"),
        (sqlite3.SQLITE_IOERR_WRITE, TransientError, "cannot be read or written just now"),
        (sqlite3.SQLITE_READONLY_DIRECTORY, FatalError, "may only be read"),
        (sqlite3.SQLITE_CANTOPEN, FatalError, "cannot be opened"),
        (sqlite3.SQLITE_CORRUPT, FatalError, "damaged"),
        (sqlite3.SQLITE_TOOBIG, DataError, "a row was refused"),
        (sqlite3.SQLITE_BUSY_SNAPSHOT, TransientError, "others are writing"),
        (sqlite3.SQLITE_MISUSE, FatalError, "it said so"),
    ],
)
def test_what_sqlite_says_is_told_in_words_with_what_helps(
    tmp_path: Path, code: int, error: type[Exception], words: str
) -> None:
    raised = sqlite3.OperationalError("it said so")
    raised.sqlite_errorcode = code
    with closing(SqliteTarget(tmp_path / "t.db", Destination("t"))) as target:
        told = target._told(raised)
    assert type(told) is error
    assert words in str(told)
    assert "t.db" in str(told)


def test_a_disk_without_room_writes_all_of_a_batch_or_nothing(write: Write, folder: Path) -> None:
    write(ROWS)
    pages = ask(folder, "PRAGMA page_count")[0][0]
    connect = sqlite3.connect

    def small(*arguments: Any, **options: Any) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect(*arguments, **options)
        connection.execute(f"PRAGMA max_page_count = {pages}")
        return connection

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(sqlite3, "connect", small)
        with pytest.raises(TransientError, match="disk is full"):
            write({"n": [1], "s": ["x" * 100_000]})
    assert ask(folder, "SELECT count(*) FROM t") == [(25,)]


def test_a_busy_database_is_waited_for_and_then_told(tmp_path: Path) -> None:
    path = tmp_path / "t.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with (
            closing(SqliteTarget(path, Destination("t"), wait_s=0.02)) as target,
            pytest.raises(TransientError, match="others are writing to it"),
        ):
            target.prepare(pa.schema({"n": pa.int64()}))
        other.execute("ROLLBACK")


def test_who_waits_goes_on_when_the_other_lets_go(tmp_path: Path) -> None:
    path = tmp_path / "t.db"
    times = iter([0.0, 1.0, 2.0, 3.0, 4.0])
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")

        def clock() -> float:
            now = next(times)
            if now == 2.0:
                other.execute("ROLLBACK")
            return now

        target = SqliteTarget(path, Destination("t"), wait_s=600, clock=clock)
        target._connection.execute("PRAGMA busy_timeout = 1")
        with closing(target):
            target.prepare(pa.schema({"n": pa.int64()}))


def test_a_large_table_is_written_in_pieces(write: Write, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    apply = SqliteTarget.apply

    def seen(self: SqliteTarget, effect: Effect, first: int, batch: pa.RecordBatch) -> int:
        sizes.append(batch.num_rows)
        return apply(self, effect, first, batch)

    monkeypatch.setattr(SqliteTarget, "apply", seen)
    write({"n": list(range(25_000))})
    write({"s": ["x" * 2**20] * 10}, table="wide")
    assert sizes[:3] == [10_000, 10_000, 5_000]
    assert max(sizes[3:]) <= 4


def test_the_module_runs_as_the_mesh_runs_it(folder: Path) -> None:
    answer = run(sql_write, {"rows": pa.table(ROWS)}, url="sqlite:///t.db", table="t")
    assert answer == {"rows": 25, "written": 25, "skipped": 0}


def test_a_trial_on_other_rows_writes_them_and_one_on_the_same_rows_does_not(folder: Path) -> None:
    where = {"url": "sqlite:///t.db", "table": "t"}
    for columns, written in (({"n": [1, 2]}, 2), ({"n": [1, 2]}, 0), ({"n": [2, 1]}, 2)):
        assert run(sql_write, {"rows": columns}, **where)["written"] == written
