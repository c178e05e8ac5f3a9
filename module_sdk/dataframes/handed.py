"""What a module was handed, kept until its outputs are written: by it what comes back untouched is recognised."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import pyarrow as pa

    from module_sdk.dataframes.pandas_frames import RowIndex


@dataclass(slots=True, eq=False)  # made for every input of every step: a frozen one takes three times as long
class Handed:
    """The `index`-th table of a port: the `table` as it was read, and the frame `native` that the module got.

    `before` is what the frame held then, where that can be changed in place; `rows` is set if the frame's rows can be
    told apart later. For a port that is handed a stream `table` is a `pa.RecordBatchReader`.
    """

    port: str
    index: int
    table: pa.Table | pa.RecordBatchReader
    native: Any
    before: Any = None
    rows: RowIndex | None = None


class Origin(NamedTuple):
    """The column of what was handed that a returned column still is."""

    handed: Handed
    name: str


class Returned(NamedTuple):
    """A column of a frame that came back; with an `origin` it is rows of that very column, `whole`: all of them."""

    name: str
    column: pa.ChunkedArray
    origin: Origin | None = None
    whole: bool = True
