"""Rows that a module could not use: counted, or kept with their reasons, in pieces that are written as they come."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from module_sdk.errors import TooManyRejected
from module_sdk.rejected_rows import Row, aligned, common_schema, frames_of, table_of, text_of, weight
from plugmesh.contracts.data import DataRef, Fragment
from plugmesh.contracts.flow import Rejects
from plugmesh.data.schema import make_schema_ipc
from plugmesh.errors import ContractError, LimitExceeded, PlugmeshError
from plugmesh.objects.port import ObjectStore

if TYPE_CHECKING:
    import pyarrow as pa

    from plugmesh.data.columns import ColumnFile  # takes pyarrow along

HELD_BYTES = 4 * 1024 * 1024
"""So much is held in memory; then it is written."""
HELD_ROWS = 4096
KEPT_BYTES = 1024**3
"""Most bytes of rejected rows of one attempt: what is more is no exception any longer."""
KEPT_SHAPES = 32
"""Most sets of columns that the rejected rows of one attempt may have; from the eighth on they are put together."""
_APART = 8
REASONS = 10
"""Reasons that are told with the result."""
_REASONS_COUNTED = 1000

Mark = tuple[int, int, int, Counter[str]]


class Rejected:
    """The rejected rows of one attempt. `key` makes a new object key; `limit` is what the flow allows of `rows_in` rows
    (`None`: it is not known before the end)."""

    def __init__(
        self,
        store: Callable[[], ObjectStore],
        key: Callable[[str], str],
        limit: Rejects | None = None,
        rows_in: int | None = None,
    ) -> None:
        self._store, self._key = store, key
        self.limit, self.rows_in = limit, rows_in
        self.rows = 0
        self._counted: Counter[str] = Counter()
        self._held: list[Row | pa.Table] = []
        self._held_bytes = 0
        self._files: dict[bytes, tuple[pa.Schema, ColumnFile]] = {}
        self._pieces: list[tuple[bytes, Fragment]] = []
        self._bytes = 0
        self._ref: DataRef | None = None
        self._ended = False
        self._lock = threading.RLock()

    @property
    def reasons(self) -> dict[str, int]:
        """The most frequent reasons, and for how many rows each was given."""
        return dict(self._counted.most_common(REASONS))

    @property
    def bytes(self) -> int:
        """What the rows take up in the store."""
        return self._bytes

    def count(self, rows: int, reason: str) -> None:
        """Rows that are not kept."""
        with self._lock:
            self.rows += rows
            reason = text_of(reason)
            if reason in self._counted or len(self._counted) < _REASONS_COUNTED:
                self._counted[reason] += rows

    def keep(self, rows: Any, reason: str) -> int:
        """Keep a frame of any library, a list of dicts, or one dict (a row); returns how many rows it has.

        Raises `TypeError` or `ContractError` for what is no rows, `LimitExceeded`, `StoreFull`.
        """
        reason, found = text_of(reason), 0
        with self._lock:
            for piece in frames_of(rows, reason):
                if isinstance(piece, dict):
                    found += self._hold(piece, weight(piece), 1)
                else:
                    found += self._hold(piece, piece.nbytes, piece.num_rows)
        self.count(found, reason)
        return found

    def check(self, rows_out: int | None = None) -> None:
        """Raises `TooManyRejected` if there are more than the flow allows.

        A share of rows is one of `rows_in`; where a module has none, of those that it made or rejected, in the end.
        """
        if self.limit is None:
            return
        rows_in = self.rows_in if self.rows_in is not None or rows_out is None else rows_out + self.rows
        if self.limit.rows is not None and self.rows > self.limit.rows:
            raise TooManyRejected(
                f"{self.rows:,} rows were rejected, and the flow allows {self.limit.rows:,}: {self._most_frequent()}. Those "
                "rejected until then are in the step's output 'rejected'; correct the data, or raise rejects: of the node"
            )
        if self.limit.percent is None or rows_in is None:
            return
        if self.rows * 100 > self.limit.percent * rows_in:
            raise TooManyRejected(
                f"{self.rows:,} of {rows_in:,} rows were rejected, and the flow allows {self.limit.percent:g} %: "
                f"{self._most_frequent()}. Those rejected until then are in the step's output 'rejected'; correct the "
                "data, or raise rejects: of the node"
            )

    def mark(self) -> Mark:
        """Where it stands now, for `back_to`."""
        with self._lock:
            self._flush()
            return self.rows, len(self._pieces), self._bytes, self._counted.copy()

    def back_to(self, mark: Mark | None) -> None:
        """Forget what was rejected since (`None`: all of it): the call that did it counts for nothing."""
        with self._lock:
            self.rows, pieces, self._bytes, counted = mark or (0, 0, 0, Counter())
            self._counted = counted.copy()
            self._held, self._held_bytes = [], 0
            del self._pieces[pieces:]

    def finish(self) -> DataRef | None:
        """The kept rows as one table; `None` if there are none. Raises `StoreFull`."""
        with self._lock:
            if not self._ended:
                self._flush()
                self._ended = True
                self._ref = self._joined() if self._pieces else None
            return self._ref

    def drop(self) -> None:
        """Give up what was kept."""
        with self._lock:
            self._ended, self._ref = True, None
            for _, file in self._files.values():
                file.__exit__(PlugmeshError, None, None)
            self._files, self._pieces, self._held = {}, [], []

    # -- writing -----------------------------------------------------------------------------------------------------

    def _most_frequent(self) -> str:
        reason, rows = next(iter(self._counted.most_common(1)), ("no reason was given", self.rows))
        return f"most often ({rows:,}) because: {reason}"

    def _hold(self, piece: Row | pa.Table, size: int, rows: int) -> int:
        self._held.append(piece)
        self._held_bytes += size
        if self._held_bytes >= HELD_BYTES or len(self._held) >= HELD_ROWS:
            self._flush()
        return rows

    def _flush(self) -> None:
        held, self._held, self._held_bytes = self._held, [], 0
        if not held:
            return
        table = table_of(held)
        if table.num_rows:
            self._write(table)

    def _write(self, table: pa.Table) -> None:
        from plugmesh.data.columns import ColumnFile  # takes pyarrow along

        known = table.schema.serialize().to_pybytes()
        if known not in self._files and len(self._files) >= _APART:
            union = common_schema([*(schema for schema, _ in self._files.values()), table.schema])
            table, known = aligned(table, union), union.serialize().to_pybytes()
        if known not in self._files:
            if len(self._files) >= KEPT_SHAPES:
                raise ContractError(
                    f"the rejected rows have over {KEPT_SHAPES} different sets of columns: give ctx.reject rows of one shape"
                )
            self._files[known] = (table.schema, ColumnFile(self._store(), self._key(f"rejected-{len(self._files)}")))
        fragment = self._files[known][1].add(table)
        self._pieces.append((known, fragment))
        self._bytes += sum(span.length for group in fragment.groups for span in group.columns)
        if self._bytes > KEPT_BYTES:
            raise LimitExceeded(
                f"the rows that were rejected take up over {KEPT_BYTES // 1024**3} GiB, the most that is kept: something is "
                "wrong with the whole input; give the node a limit with rejects:"
            )

    def _joined(self) -> DataRef:

        used = {known for known, _ in self._pieces}
        for known, (_, file) in self._files.items():
            if known in used:
                file.commit()
            else:
                file.__exit__(PlugmeshError, None, None)
        self._pieces = [(known, self._files[known][1].finished(fragment)) for known, fragment in self._pieces]
        if len(used) == 1:
            schema = self._files[next(iter(used))][0]
            fragments = tuple(fragment for _, fragment in self._pieces)
            rows = sum(fragment.rows for fragment in fragments)
            return DataRef(schema_ipc=make_schema_ipc(schema), rows=rows, fragments=fragments)
        return self._with_all_columns([self._files[known][0] for known in self._files if known in used])

    def _with_all_columns(self, schemas: list[pa.Schema]) -> DataRef:
        """Pieces with different columns as one table: what a row lacks is null."""
        from plugmesh.data.table import read_table, write_table  # takes pyarrow along

        schema, store = common_schema(schemas), self._store()

        def pieces() -> Iterator[pa.Table]:
            for known, fragment in self._pieces:
                text = make_schema_ipc(self._files[known][0])
                yield aligned(
                    read_table(store, DataRef(schema_ipc=text, rows=fragment.rows, fragments=(fragment,))), schema
                )

        ref = write_table(store, self._key("rejected"), pieces(), schema=schema)
        for key in {group.key for _, fragment in self._pieces for group in fragment.groups if group.data is None}:
            store.delete(key)
        return ref
