"""DuckDB locked down: even what would get past the parser could reach nothing."""

import signal

import duckdb
import pytest

from module_sdk import Cancelled, DataError
from plugmesh.expressions.database import evaluation, explain
from plugmesh.expressions.functions import AGGREGATES, GROUPS, MANY_ROWS, SCALARS, UNSTABLE


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM read_text('/etc/passwd')",
        "COPY (SELECT 1) TO '/tmp/plugmesh-must-not-exist'",
        "ATTACH '/tmp/plugmesh-must-not-exist.db'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SELECT * FROM read_csv('https://localhost/x')",
        "SET threads = 8",
        "SET enable_external_access = true",
        "SET lock_configuration = false",
        "SELECT * FROM secret_table",
    ],
)
def test_files_network_extensions_settings_and_python_objects_are_out_of_reach(statement: str) -> None:
    secret_table = duckdb.sql("SELECT 1")
    with pytest.raises(DataError, match=r"^where: "), evaluation("where") as connection:
        connection.execute(statement).fetchall()
    assert secret_table is not None


ENDLESS = "SELECT sum(a.range * b.range) FROM range(10000000) a, range(10000000) b"


def test_what_takes_too_long_is_interrupted() -> None:
    with pytest.raises(DataError, match=r"where: it took longer than 0\.05 s"), evaluation("where", 0.05) as connection:
        connection.execute(ENDLESS).fetchall()


def test_a_cancel_that_comes_as_a_signal_stops_the_work() -> None:
    def cancel(_: int, __: object) -> None:
        raise Cancelled

    def work() -> None:
        with evaluation("where") as connection:
            signal.setitimer(signal.ITIMER_REAL, 0.05)
            connection.execute(ENDLESS).fetchall()

    before = signal.signal(signal.SIGALRM, cancel)
    try:
        with pytest.raises(Cancelled):
            work()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_what_needs_too_much_memory_is_explained() -> None:
    with pytest.raises(DataError, match=r"where: it needs more than \d+ MB of memory"), evaluation("where"):
        raise duckdb.OutOfMemoryException("Out of Memory Error: failed to allocate data of size 9.0 GiB")


def test_timestamps_are_computed_in_utc() -> None:
    with evaluation("where") as connection:
        assert connection.execute("SELECT current_setting('TimeZone')").fetchall() == [("UTC",)]


def test_a_message_is_one_line_and_points_at_the_piece() -> None:
    said = "Conversion Error: Could not convert string 'x' to INT32\n\nLINE 2: a + s::int\n            ^^^^^^\n"
    assert explain(said) == "Could not convert string 'x' to INT32 (at 's::int')"


def test_every_allowed_function_exists() -> None:
    rows = duckdb.connect().execute("SELECT DISTINCT function_name, function_type FROM duckdb_functions()").fetchall()
    scalars = {name for name, kind in rows if kind in ("scalar", "macro")}
    aggregates = {name for name, kind in rows if kind in ("aggregate", "macro")}
    named = {word for words in GROUPS.values() for word in words.split()}
    assert named - scalars == set()
    assert AGGREGATES - aggregates == set()


def test_no_allowed_function_differs_from_call_to_call() -> None:
    rows = duckdb.connect().execute("SELECT DISTINCT function_name, stability FROM duckdb_functions()").fetchall()
    assert {name for name, stability in rows if stability in ("VOLATILE", "CONSISTENT_WITHIN_QUERY")} & SCALARS == set()
    assert SCALARS.isdisjoint(AGGREGATES | UNSTABLE | MANY_ROWS)
