"""Data that is not what a flow needs: what the step of a built-in module says, when a run gets there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

FILES: dict[str, bytes] = {
    "good": b"carrier,delay\nUA,5\nDL,7\n",
    "ragged": b"carrier,delay\nUA,5\nDL,7,late\n",
    "latin": b"carrier,delay\nUA,5\nD\xe9L,7\n",
    "wide": b",".join(b"c%d" % n for n in range(40_000)) + b"\n" + b",".join(b"1" for _ in range(40_000)) + b"\n",
}
"""Uploaded as NAME.csv."""


@dataclass(frozen=True, slots=True)
class DataRow:
    """A step of `module` with `params` over the rows of a file; `io.read` itself where that is the module."""

    title: str
    module: str
    file: str
    params: dict[str, Any]
    says: str

    def __str__(self) -> str:
        return self.title


COLUMNS = "it has carrier, delay"

DATA = (
    DataRow(
        "a column that is not there",
        "table.filter",
        "good",
        {"where": "dealy > 5"},
        "where: the expression 'dealy > 5', at character 1: there is no column 'dealy' (did you mean 'delay'?); "
        "there are carrier, delay",
    ),
    DataRow(
        "a column that is not there, in a new column",
        "table.derive",
        "good",
        {"columns": {"x": "delay / carier"}},
        "columns.x: the expression 'delay / carier', at character 9: there is no column 'carier' "
        "(did you mean 'carrier'?); there are carrier, delay",
    ),
    DataRow(
        "a column that is not there, to keep",
        "table.select",
        "good",
        {"columns": ["carrier", "arrival"]},
        f"columns: the input 'table' has no column 'arrival'; {COLUMNS}",
    ),
    DataRow(
        "a column that is not there, to sort by",
        "table.sort",
        "good",
        {"by": ["delya"]},
        f"by: the input 'table' has no column 'delya' (did you mean 'delay'?); {COLUMNS}",
    ),
    DataRow(
        "a column that is not there, to group by",
        "table.aggregate",
        "good",
        {"by": ["airline"], "measures": {"n": "count(*)"}},
        f"by: the input 'table' has no column 'airline'; {COLUMNS}",
    ),
    DataRow(
        "a column that is not there, to join on",
        "table.join",
        "good",
        {"on": "airline"},
        f"on: the input 'left' has no column 'airline'; {COLUMNS}",
    ),
    DataRow(
        "a condition that is a number",
        "table.filter",
        "good",
        {"where": "delay"},
        "where: the expression 'delay' gives int64 values, not true or false: compare it, as in `x > 0`",
    ),
    DataRow(
        "a text compared with a number",
        "table.filter",
        "good",
        {"where": "carrier > 5"},
        "where: the expression 'carrier > 5': Cannot compare values of type VARCHAR and type INTEGER_LITERAL - "
        "an explicit cast is required",
    ),
    DataRow(
        "a measure of one row",
        "table.aggregate",
        "good",
        {"by": [], "measures": {"n": "delay"}},
        "measures.n: the expression 'delay' has no aggregate function: write, for example, count(*), sum(x) or avg(x)",
    ),
    DataRow(
        "a CSV row with a cell too many",
        "io.read",
        "ragged",
        {},
        "file: 'ragged.csv' cannot be read as csv: CSV parse error: Row #3: Expected 2 columns, got 3: DL,7,late",
    ),
    DataRow(
        "a CSV file in another encoding",
        "io.read",
        "latin",
        {},
        "encoding: 'latin.csv': the column 'carrier' is not utf-8 text (line 3: its byte 2 (0xe9) is no utf-8 text; "
        "it begins with 'D\\\\xe9L,7'): name the file's encoding, for example latin-1 or cp1252, "
        "or leave such lines out with bad_rows: reject",
    ),
    DataRow("a CSV file of 40,000 columns", "table.limit", "wide", {"rows": 1}, ""),
)
"""`says` is empty where the step succeeds."""
