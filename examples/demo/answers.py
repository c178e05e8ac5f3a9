"""What the demo's flows must come to, computed by DuckDB on the same files; and how the two are compared."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb

from examples.demo.flights import FlightFiles

LATE_BY_CARRIER = """
    SELECT carrier, count(*) AS n, avg(arr_delay) AS mean_delay, any_value(a.name) AS name
    FROM flights LEFT JOIN airlines a USING (carrier) WHERE arr_delay > 15 GROUP BY carrier
"""
PUNCTUALITY = """
    SELECT origin, count(*) AS flights, avg((arr_delay <= 15)::int) AS on_time,
           CASE WHEN on_time >= 0.765 THEN 'good' ELSE 'poor' END AS grade
    FROM flights GROUP BY origin
"""
FAR_AWAY = "SELECT dest, sum(distance)::BIGINT AS miles FROM flights GROUP BY dest ORDER BY miles DESC"

Row = tuple[Any, ...]


class Wrong(Exception):
    """A flow's answer is not DuckDB's; the message shows the first row that differs."""


class Answers:
    """DuckDB over the files of the demo."""

    def __init__(self, files: FlightFiles) -> None:
        self._connection = duckdb.connect()
        for name, path in (("flights", files.flights), ("airlines", files.airlines)):
            self._connection.execute(
                f"CREATE TABLE {name} AS FROM read_csv('{path}', nullstr=['', 'NA'], sample_size=-1)"
            )

    def check(self, result: Path, sql: str, *, ordered: bool = False) -> int:
        """Compare a Parquet file with the answer to `sql`; returns the number of rows. Raises Wrong."""
        expected = self._connection.execute(sql)
        names = [column[0] for column in expected.description or ()]
        wanted = expected.fetchall()
        columns = ", ".join(f'"{name}"' for name in names)
        found = self._connection.execute(f"SELECT {columns} FROM read_parquet('{result}')").fetchall()
        if len(found) != len(wanted):
            raise Wrong(f"{result.name} has {len(found)} rows, DuckDB finds {len(wanted)}")
        order: Callable[[Row], Any] = (lambda row: 0) if ordered else (lambda row: str(row[0]))
        for row, right in zip(sorted(found, key=order), sorted(wanted, key=order), strict=True):
            if not all(map(_same, row, right)):
                raise Wrong(f"{result.name} has the row {row}, DuckDB finds {right}")
        return len(found)


def _same(found: Any, wanted: Any) -> bool:
    if isinstance(found, float) and isinstance(wanted, float):
        return math.isclose(found, wanted, rel_tol=1e-9)
    return bool(found == wanted)
