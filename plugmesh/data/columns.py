"""A column file: one object that holds columns one after another, each its own Arrow IPC stream.

    | schema, batches of column a, fragment 0 | pad | … column b, fragment 0 | pad | … column a, fragment 1 | …

Each stream starts at a multiple of 64 bytes and holds exactly one column, its dictionaries included. So a reader
fetches the columns it needs and no other byte, and another table can refer to a column where it lies.
"""

from __future__ import annotations

from types import TracebackType

import pyarrow as pa

from plugmesh.contracts.data import ColumnGroup, ColumnSpan, Fragment
from plugmesh.data.checked import read_checked
from plugmesh.data.digest import RunningHash, content_hash, verify_hash
from plugmesh.data.inline import inline_bytes, inline_limit, inlined
from plugmesh.data.packing import is_packed, options_for, unpacked
from plugmesh.errors import ObjectCorrupt
from plugmesh.objects.port import ObjectStore, Readable, Writer, remote_of

ALIGNMENT_BYTES = 64
_PIECE_BYTES = 1024 * 1024  # hashed and copied while it is in the cache; smaller copies would read what they overwrite
_GATHERED_BYTES = 256 * 1024  # small pieces are written together
_SMALL_BYTES = 64 * 1024  # a stream below this is made in memory: half the calls
_FEW_ROWS = 64 * 1024  # chunks smaller than this are put together before they are written
_COMBINED_BYTES = 256 * 1024 * 1024  # most of a column that is put together: it is in memory twice then


class ColumnFile:
    """A column file being written. As a context manager it is dropped when an error leaves the block.

    The object is created with the first column: a table without columns or rows has none. Where the store is remote, few
    bytes make no object: the fragments hold them themselves when they are `finished`. `bytes` is about how long it becomes,
    or `rows` how many it will have, where that is known.
    """

    def __init__(self, store: ObjectStore, key: str, bytes: int | None = None, rows: int | None = None) -> None:
        self._store, self._key, self._bytes, self._rows = store, key, bytes, rows
        self._remote, self._inline_limit = remote_of(store), inline_limit(store)
        self._inline = b""
        self._writer: Writer | None = None
        self._pending = bytearray()
        self._written = 0

    def __enter__(self) -> ColumnFile:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if kind is not None and self._writer is not None:
            self._writer.abort()

    def add(self, table: pa.Table, *, contiguous: bool = False) -> Fragment:
        """Append a fragment; with `contiguous`, each column in one piece where that is possible, so that NumPy can have
        it as it lies. Raises `StoreFull`."""
        if not table.num_columns:
            return Fragment(rows=table.num_rows, groups=())
        if self._bytes is None:
            self._bytes = table.nbytes  # of a stream its first fragment is all that is known, and perhaps its rows
            if self._rows is not None and table.num_rows:
                self._bytes = self._bytes * max(self._rows, table.num_rows) // table.num_rows
        few = table.num_rows + 1 if contiguous else _FEW_ROWS
        spans = tuple(self._add_column(field, table.column(index), few) for index, field in enumerate(table.schema))
        return Fragment(rows=table.num_rows, groups=(ColumnGroup(key=self._key, columns=spans),))

    def commit(self) -> None:
        """Make the object visible, if there is one. Raises `StoreFull`, `Conflict`."""
        if self._writer is None and len(self._pending) <= self._inline_limit:
            self._inline = bytes(self._pending)
            return
        self._flush()
        self._open().commit()

    def finished(self, fragment: Fragment) -> Fragment:
        """One of its fragments, as it is after `commit`."""
        if not self._inline:
            return fragment
        groups = (
            inlined(group.columns, self._inline) if group.key == self._key else group for group in fragment.groups
        )
        return Fragment(rows=fragment.rows, groups=tuple(groups))

    def append(self, data: memoryview) -> None:
        """Bytes of a stream; small pieces are gathered."""
        if len(self._pending) + len(data) > _GATHERED_BYTES:
            self._flush()
        if len(data) < _GATHERED_BYTES:
            self._pending += data
        else:
            self._written += self._open().write(data)

    def _add_column(self, field: pa.Field, column: pa.ChunkedArray, few_rows: int) -> ColumnSpan:
        if not self._inline_limit:
            self._open()
        self.append(memoryview(b"\0" * (-self._position % ALIGNMENT_BYTES)))
        start = self._position
        chunks = _combined(column, few_rows).chunks
        if column.nbytes < _SMALL_BYTES:
            memory = pa.BufferOutputStream()
            _write_stream(memory, field, chunks)
            data = memoryview(memory.getvalue())
            self.append(data)
            digest = content_hash(data)
        else:
            sink = _HashingSink(self)
            options = None if self._remote is None else options_for(self._remote.compression, column)
            _write_stream(pa.PythonFile(sink, mode="w"), field, chunks, options)
            digest = sink.digest()
        return ColumnSpan(name=field.name, offset=start, length=self._position - start, hash=digest)

    @property
    def _position(self) -> int:
        return self._written + len(self._pending)

    def _open(self) -> Writer:
        if self._writer is None:
            self._writer = self._store.create(self._key, self._bytes)
        return self._writer

    def _flush(self) -> None:
        if self._pending:
            self._written += self._open().write(bytes(self._pending))
            self._pending.clear()


def read_column(
    store: Readable, group: ColumnGroup, span: ColumnSpan, field: pa.Field, rows: int, *, verify: bool
) -> pa.ChunkedArray:
    """One column of a fragment, without a copy where the store maps. Raises `ObjectMissing`, `ObjectCorrupt`."""
    key, whole = group.key, rows if group.rows is None else group.rows
    about = f", column {span.name!r}"
    if group.data is None:
        data = read_checked(store, key, span.offset, span.length, span.hash, about=about, verify=verify)
    else:
        data = inline_bytes(group.data, span)
        verify_hash(data, span.hash, f"the data in a reference{about}")
    try:
        table = pa.ipc.open_stream(pa.py_buffer(data)).read_all()
        if is_packed(table):
            table = unpacked(table)
        table.validate()
        found, columns = table.schema.types, table.columns
    except (ValueError, OSError, EOFError, pa.ArrowException) as error:
        raise ObjectCorrupt(f"object {key}, column {span.name!r} is no readable Arrow stream: {error}") from error
    if found != [field.type] or table.num_rows != whole or group.start + rows > whole:
        raise ObjectCorrupt(
            f"object {key}, column {span.name!r}: the reference says {_said(group, rows)} of {field.type}, "
            f"the object has {table.num_rows} rows of {', '.join(map(str, found)) or 'nothing'}"
        )
    column: pa.ChunkedArray = columns[0]
    return column if group.rows is None else column.slice(group.start, rows)


def _said(group: ColumnGroup, rows: int) -> str:
    return f"{rows} rows" if group.rows is None else f"{rows} rows from row {group.start} on, of {group.rows},"


class _HashingSink:
    """What pyarrow writes a stream to: hashes each piece just before it is copied."""

    closed = False

    def __init__(self, file: ColumnFile) -> None:
        self._file, self._hash = file, RunningHash()

    def write(self, data: bytes | pa.Buffer) -> int:
        view = memoryview(data).toreadonly()  # nobody writes to a table that is being stored
        for start in range(0, len(view), _PIECE_BYTES):
            piece = view[start : start + _PIECE_BYTES]
            self._hash.update(piece)
            self._file.append(piece)
        return len(view)

    def flush(self) -> None:
        """Called by pyarrow; what is gathered waits for more."""

    def digest(self) -> str:
        return self._hash.digest()


def _write_stream(
    sink: pa.NativeFile, field: pa.Field, chunks: list[pa.Array], options: pa.ipc.IpcWriteOptions | None = None
) -> None:
    schema = pa.schema([field])
    with pa.ipc.new_stream(sink, schema, options=options) as writer:
        for chunk in chunks:
            writer.write_batch(pa.RecordBatch.from_arrays([chunk], schema=schema))


def _combined(column: pa.ChunkedArray, few_rows: int) -> pa.ChunkedArray:
    """The same column with chunks of fewer rows put together, where Arrow can, and memory allows it."""
    if column.num_chunks < 2 or len(column) >= few_rows * column.num_chunks or column.nbytes > _COMBINED_BYTES:
        return column
    # polars hands over empty chunks with an offset and no bytes, which Arrow refuses to put together with others.
    chunks = [chunk for chunk in column.chunks if len(chunk)]
    try:
        combined = pa.chunked_array(chunks, type=column.type).combine_chunks()
    except (
        pa.ArrowInvalid,
        pa.ArrowNotImplementedError,
        MemoryError,
    ):  # e.g. more text than 32-bit offsets can address
        return column
    return combined if isinstance(combined, pa.ChunkedArray) else pa.chunked_array([combined], type=column.type)
