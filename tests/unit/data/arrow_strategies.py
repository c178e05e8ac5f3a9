"""Random Arrow types, arrays of them, and tables cut into chunks anyhow."""

import datetime as dt
import string
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pyarrow as pa
from hypothesis import strategies as st

UNITS = ("s", "ms", "us", "ns")
NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=8) | st.text(
    string.ascii_letters, min_size=1, max_size=5
)

_INTEGERS = {f"{sign}int{bits}": (sign, bits) for sign in ("", "u") for bits in (8, 16, 32, 64)}


def _integers(sign: str, bits: int) -> st.SearchStrategy[Any]:
    return st.integers(0, 2**bits - 1) if sign else st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


_LEAVES: list[tuple[pa.DataType, st.SearchStrategy[Any]]] = [
    (pa.null(), st.none()),
    (pa.bool_(), st.booleans()),
    *((getattr(pa, name)(), _integers(*spec)) for name, spec in _INTEGERS.items()),
    (pa.float16(), st.floats(width=16, allow_nan=False)),
    (pa.float32(), st.floats(width=32, allow_nan=False)),
    (pa.float64(), st.floats(allow_nan=False)),
    *((kind, st.text(max_size=5)) for kind in (pa.string(), pa.large_string(), pa.string_view())),
    *((kind, st.binary(max_size=20)) for kind in (pa.binary(), pa.large_binary(), pa.binary_view())),
    (pa.binary(3), st.binary(min_size=3, max_size=3)),
    (pa.date32(), st.dates()),
    (pa.date64(), st.dates()),
    (pa.time32("s"), st.integers(0, 86_399)),
    (pa.time64("ns"), st.integers(0, 86_399 * 10**9)),
    *((pa.timestamp(unit), st.integers(-(2**30), 2**35)) for unit in UNITS),
    *((pa.timestamp(unit, "Europe/Paris"), st.integers(0, 2**30)) for unit in UNITS),
    (pa.timestamp("us", "+05:30"), st.integers(0, 2**40)),
    *((pa.duration(unit), st.integers(-(2**30), 2**35)) for unit in UNITS),
    (pa.decimal32(5, 2), st.decimals(-999, 999, places=2)),
    (pa.decimal128(10, 2), st.decimals(-99_999_999, 99_999_999, places=2)),
    (pa.decimal256(50, 0), st.integers(-(10**49), 10**49).map(Decimal)),
    (pa.month_day_nano_interval(), st.tuples(st.integers(0, 99), st.integers(0, 99), st.integers(0, 99))),
]
LEAF_TYPES = [kind for kind, _ in _LEAVES]
_VALUES = {str(kind): values for kind, values in _LEAVES}


def _field(name: str, kind: pa.DataType, nullable: bool) -> pa.Field:
    return pa.field(name, kind, nullable=nullable or pa.types.is_null(kind))


def _nested(field: st.SearchStrategy[pa.Field]) -> st.SearchStrategy[pa.DataType]:
    kind = field.map(lambda one: one.type)
    lists: list[Callable[[Any], pa.DataType]] = [pa.list_, pa.large_list, pa.list_view, pa.large_list_view]
    return st.one_of(
        *(field.map(make) for make in lists),
        st.builds(pa.list_, field, st.integers(0, 9)),
        st.lists(field, max_size=3).map(pa.struct),
        st.builds(
            lambda key, item, ordered: pa.map_(key, item, keys_sorted=ordered),
            kind.filter(lambda key: key != pa.null()),
            field.map(lambda f: f.with_name("value")),
            st.booleans(),
        ),
        st.builds(
            pa.dictionary,
            st.sampled_from([pa.int8(), pa.int32(), pa.uint16(), pa.int64()]),
            st.sampled_from([pa.string(), pa.int64(), pa.timestamp("us", "UTC")]),
            st.booleans(),
        ),
        st.builds(pa.run_end_encoded, st.just(pa.int32()), st.sampled_from([pa.string(), pa.float64()])),
    )


FIELD_TYPES: st.SearchStrategy[pa.DataType] = st.recursive(
    st.sampled_from(LEAF_TYPES)
    | st.integers(1, 38).flatmap(lambda p: st.builds(pa.decimal128, st.just(p), st.integers(-9, 9))),
    lambda inner: _nested(st.builds(_field, NAMES, inner, st.booleans())),
    max_leaves=6,
)
"""Types for which no values can be made by `tables`, too: `not null` fields, odd names and precisions."""


@st.composite
def arrays(draw: st.DrawFn, rows: int, depth: int = 2) -> pa.Array:
    """An array of `rows` rows of some type, with nulls."""
    form = draw(st.sampled_from(["leaf", "leaf", "list", "struct", "dictionary", "sliced"])) if depth else "leaf"
    if form == "sliced":
        before, after = draw(st.integers(0, 9)), draw(st.integers(0, 3))
        return draw(arrays(rows + before + after, depth - 1)).slice(before, rows)
    if form == "dictionary":
        values = draw(st.lists(st.none() | st.text(max_size=3), min_size=rows, max_size=rows))
        return pa.array(values, pa.string()).dictionary_encode()
    if form == "struct":
        return pa.StructArray.from_arrays([draw(arrays(rows, depth - 1)) for _ in range(2)], ["a", "b"])
    if form == "list":
        sizes = draw(st.lists(st.integers(0, 3), min_size=rows, max_size=rows))
        offsets = [sum(sizes[:index]) for index in range(rows + 1)]
        return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), draw(arrays(offsets[-1], depth - 1)))
    kind = draw(st.sampled_from(LEAF_TYPES))
    return pa.array(draw(st.lists(st.none() | _VALUES[str(kind)], min_size=rows, max_size=rows)), kind)


@st.composite
def tables(draw: st.DrawFn, max_rows: int = 12) -> pa.Table:
    """1 to 4 columns of any type; each column in chunks of its own."""
    rows = draw(st.integers(0, max_rows))
    names = draw(st.lists(NAMES, unique=True, min_size=1, max_size=4))
    columns = []
    for _ in names:
        array = draw(arrays(rows))
        cut = draw(st.integers(0, rows))
        chunks = [array.slice(0, cut), array.slice(cut)]
        columns.append(pa.chunked_array([array] if draw(st.booleans()) else chunks, array.type))
    metadata = draw(st.none() | st.just({"made": "by a test"}))
    return pa.Table.from_arrays(columns, names=names).replace_schema_metadata(metadata)


def same(one: pa.Table, two: pa.Table) -> bool:
    """Equal schemas (with metadata), rows and values."""
    one.validate(full=True)
    two.validate(full=True)
    if not one.schema.equals(two.schema, check_metadata=True) or one.num_rows != two.num_rows:
        return False
    return all(_plain(left) == _plain(right) for left, right in zip(one.columns, two.columns, strict=True))


def _plain(column: pa.ChunkedArray) -> list[str]:
    return [repr(value) if isinstance(value, float | dt.datetime) else str(value) for value in column.to_pylist()]
