"""Types that expressions give, found out by evaluating them over no rows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from module_sdk.expressions import Parsed, evaluate
from module_sdk.planning import is_known

if TYPE_CHECKING:
    import pyarrow as pa


def type_of(parsed: Parsed, schema: pa.Schema) -> pa.DataType | None:
    """The type of a scalar expression; `None` if that of a column in it is not known. Raises `DataError`, as the evaluation
    would."""
    if not all_known(parsed.columns, schema):
        return None
    return evaluate(no_rows(schema, parsed.columns), {"x": parsed})["x"].type


def all_known(names: Iterable[str], schema: pa.Schema) -> bool:
    """Whether the types of these columns are known."""
    return all(is_known(schema.field(name).type) for name in names)


def no_rows(schema: pa.Schema, names: Iterable[str]) -> pa.Table:
    """A table of these columns, without rows; text stands for types that are not known."""
    import pyarrow as pa

    fields = [schema.field(name) for name in dict.fromkeys(names)]
    return pa.schema([one if is_known(one.type) else pa.field(one.name, pa.string()) for one in fields]).empty_table()
