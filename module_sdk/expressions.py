"""For modules with `Expression` params: read a person's SQL expression, check it, and evaluate it over a table.

    parsed = parse_scalar(where, "where", table.column_names)
    mask = evaluate(table, {"where": parsed})["where"]

Everything here raises `DataError` that names the param and the place in the text.
"""

from __future__ import annotations

from plugmesh.expressions.database import evaluation
from plugmesh.expressions.evaluate import decoded, evaluate, fetch, hand_over
from plugmesh.expressions.functions import AGGREGATES, GROUPS
from plugmesh.expressions.parse import MAX_LENGTH, Parsed, parse, parse_aggregate, parse_scalar, sql_expression

__all__ = [
    "AGGREGATES",
    "GROUPS",
    "MAX_LENGTH",
    "Parsed",
    "decoded",
    "evaluate",
    "evaluation",
    "fetch",
    "hand_over",
    "parse",
    "parse_aggregate",
    "parse_scalar",
    "sql_expression",
]
