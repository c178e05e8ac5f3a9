"""How many different values a column has, and which are the most frequent: bounded memory, by DuckDB.

The SQL is fixed; nothing that a person wrote is in it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from plugmesh.expressions.database import evaluation

EXACT_BELOW = 50_000
"""Up to about so many different values are counted one by one; more are estimated (HyperLogLog, some per cent off)."""
TOP = 10

Read = Callable[[], Iterator[pa.ChunkedArray]]

_ESTIMATE = "SELECT approx_count_distinct(x) FROM held"
_COUNT = "SELECT count(DISTINCT x) FROM held"
_GROUPS = """
WITH grouped AS (SELECT x, count(*) AS n FROM held WHERE x IS NOT NULL GROUP BY x)
SELECT x, n, count(*) OVER () AS groups FROM grouped ORDER BY n DESC, x LIMIT 10
"""
_FREQUENT = "SELECT approx_top_k(x, 100) AS found FROM held"


@dataclass(frozen=True, slots=True)
class Distinct:
    """`values` and `counts` are the most frequent ones, where they were asked for."""

    number: int
    exact: bool
    values: pa.Array | None = None
    counts: list[int] = field(default_factory=list)


def count_distinct(read: Read, kind: pa.DataType, name: str) -> Distinct:
    """The number of different values of type `kind` but null. Raises `DataError`."""
    estimate = _number(_ask(read, kind, _ESTIMATE, name))
    if estimate > EXACT_BELOW:
        return Distinct(estimate, exact=False)
    return Distinct(_number(_ask(read, kind, _COUNT, name)), exact=True)


def frequent(read: Read, kind: pa.DataType, name: str) -> Distinct:
    """The same with the most frequent values. Among too many different ones, these are likely, not certain."""
    estimate = _number(_ask(read, kind, _ESTIMATE, name))
    if estimate > EXACT_BELOW:
        candidates = _ask(read, kind, _FREQUENT, name)["found"].combine_chunks().flatten().cast(kind)
        values, counts = _counted(read, candidates)
        return Distinct(estimate, exact=False, values=values, counts=counts)
    top = _ask(read, kind, _GROUPS, name)
    number = top["groups"][0].as_py() if top.num_rows else 0
    values = top["x"].combine_chunks().cast(kind)
    return Distinct(number, exact=True, values=values, counts=top["n"].to_pylist())


def _ask(read: Read, kind: pa.DataType, question: str, name: str) -> pa.Table:
    schema = pa.schema([("x", kind)])
    batches = (pa.record_batch([chunk], schema=schema) for column in read() for chunk in column.chunks)
    with evaluation(f"column {name!r}") as connection:
        held = connection.from_arrow(pa.RecordBatchReader.from_batches(schema, batches))
        answer = held.query("held", question)
        assert answer is not None, "only statements that are no question give nothing"
        return answer.to_arrow_table()


def _number(answer: pa.Table) -> int:
    return int(answer.column(0)[0].as_py())


def _counted(read: Read, candidates: pa.Array) -> tuple[pa.Array, list[int]]:
    found: Counter[int] = Counter()
    for column in read():
        places = pc.index_in(column, value_set=candidates).drop_null()
        for pair in pc.value_counts(places).to_pylist():
            found[pair["values"]] += pair["counts"]
    top = found.most_common(TOP)
    return candidates.take(pa.array([place for place, _ in top], pa.int64())), [count for _, count in top]
