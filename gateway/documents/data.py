"""Answers about the data of steps."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, JsonValue

from gateway.documents.document import Document, example


class NamedType(Document):
    """A column."""

    name: str
    type: str = Field(description="Its Arrow type")


class TypedColumn(NamedType):
    """A column of a schema."""

    nullable: bool


class _NoTable(Document):
    """What a file or a value is, where a table was expected: without rows and columns."""

    rows: list[JsonValue] = Field(max_length=0)
    columns: list[JsonValue] = Field(max_length=0)
    total: int


class FileOutput(_NoTable):
    """An output that is a file: download it."""

    kind: Literal["file"]
    name: str
    key: str
    bytes: int
    hash: str
    media_type: str


class ValueOutput(_NoTable):
    """An output that is a value."""

    kind: Literal["value"]
    value: JsonValue


class TableSchema(Document):
    """What a table is."""

    model_config = example(
        kind="table", rows=1200, bytes=38400, columns=[{"name": "price", "type": "double", "nullable": True}]
    )

    kind: Literal["table"]
    rows: int
    bytes: int
    columns: list[TypedColumn]


class TableRows(Document):
    """A page of a table. `columns_left_out` and `message` are there when it has more columns than are shown."""

    model_config = example(
        kind="table",
        columns=[{"name": "carrier", "type": "string"}, {"name": "price", "type": "double"}],
        rows=[{"carrier": "UA", "price": 12.5}],
        total=1200,
        matched=1,
        offset=0,
        truncated=False,
    )

    kind: Literal["table"]
    rows: list[dict[str, JsonValue]] = Field(description="Each row by the columns' names")
    columns: list[NamedType]
    total: int = Field(description="Rows of the table")
    matched: int = Field(description="Rows that the filter lets through")
    offset: int
    truncated: bool = Field(description="Whether rows were left out because the answer became too large")
    columns_left_out: int = 0
    message: str = ""


class Bin(Document):
    """Values of a histogram: from `from` up to `to`."""

    from_: JsonValue = Field(alias="from")
    to: JsonValue
    count: int


class Frequent(Document):
    """A value, and how often it is there."""

    value: JsonValue
    count: int


class Lengths(Document):
    """How long lists and bytes are."""

    min: int
    max: int
    mean: float | None


class ColumnFigures(NamedType):
    """Figures about one column. Which are there depends on its type; `message` says why one could not be computed."""

    nulls: int | None
    distinct: int | None
    min: JsonValue
    max: JsonValue
    mean: JsonValue
    distinct_exact: bool | None = Field(default=None, description="Or estimated")
    nan: int = 0
    infinite: int = 0
    histogram: list[Bin] = []
    top: list[Frequent] = Field(default=[], description="The most frequent values")
    lengths: Lengths | None = None
    message: str = ""


class TableStats(Document):
    """Figures about the columns of a table."""

    model_config = example(
        kind="table",
        rows=1200,
        columns=[
            {
                "name": "price",
                "type": "double",
                "nulls": 3,
                "distinct": 410,
                "distinct_exact": True,
                "min": 1.5,
                "max": 99.5,
                "mean": 20.25,
                "nan": 0,
                "infinite": 0,
                "histogram": [{"from": 1.5, "to": 99.5, "count": 1197}],
            }
        ],
    )

    kind: Literal["table"]
    rows: int
    columns: list[ColumnFigures]
    columns_left_out: int = 0
    message: str = ""
