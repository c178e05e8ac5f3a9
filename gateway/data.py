"""Looking at data: schema, rows, figures and downloads of any output of any step, all computed by reader processes."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

from pydantic_core import to_json

from gateway.kept import Kept
from gateway.reader import wire
from gateway.reader.pool import Reader
from gateway.reading import Reading
from gateway.views import Views
from plugmesh.data.digest import content_hash
from plugmesh.errors import LimitExceeded
from plugmesh.runtime import Runtime
from plugmesh.settings.settings import Settings
from plugmesh.state.store import State

ORDERED_ROWS = 4 * 1024 * 1024
"""So many rows of a sorted or filtered table can be looked at; their numbers are kept, 4 bytes each."""


@dataclass(frozen=True, slots=True)
class Page:
    """Which rows to show. `columns` are those to show, `None`: the first ones; `sort` has name and `descending`."""

    offset: int
    limit: int
    columns: list[str] | None = None
    sort: tuple[tuple[str, bool], ...] = ()
    filter: str | None = None

    @property
    def question(self) -> tuple[Any, ...]:
        """The same, as a key of what was asked before."""
        return self.offset, self.limit, None if self.columns is None else tuple(self.columns), self.sort, self.filter


@dataclass(frozen=True, slots=True)
class Download:
    """An output as a stream of bytes; `kind` is `table`, `file` or `value`, `name` the file's own."""

    kind: str
    name: str | None
    pieces: AsyncGenerator[bytes, None]
    """To be closed, whether it was read or not."""


class Data:
    """Everything about the data of steps. What was computed is kept: references are immutable, so it stays right."""

    def __init__(
        self,
        runtime: Runtime,
        state: State,
        views: Views,
        reader: Reader,
        *,
        settings: Settings,
        reading: Reading,
    ) -> None:
        self._state = state
        self._views = views
        self._reader = reader
        self._settings = settings
        self._reading = reading
        self._kept = Kept(runtime, lambda: settings.data_cache_bytes)

    async def output(self, run: str, step: str, port: str) -> Any:
        """The reference at an output, as JSON. Raises `NotFound`."""
        return await self._state.read(self._views.output, run, step, port)

    async def schema(self, run: str, step: str, port: str) -> bytes:
        """Rows, bytes and columns as JSON text. Raises `NotFound`, `Unreadable`, `ObjectMissing`."""
        async with self._reading.holding(run):
            reference = await self.output(run, step, port)
            return await self._known(reference, ("schema",), op="schema")

    async def stats(self, run: str, step: str, port: str, columns: list[str] | None) -> bytes:
        """Figures about columns (`None`: the first ones) as JSON text. Raises as `rows`."""
        async with self._reading.holding(run):
            reference = await self.output(run, step, port)
            limit = self._settings.stats_columns_limit
            question = ("stats", None if columns is None else tuple(columns), limit)
            return await self._known(reference, question, op="stats", columns=columns, limit_columns=limit)

    async def rows(self, run: str, step: str, port: str, page: Page) -> bytes:
        """Rows as JSON text.

        Raises `NotFound`, `RequestInvalid` (a column or expression that cannot be used), `LimitExceeded`,
        `Unreadable`, `ObjectMissing`.
        """
        async with self._reading.holding(run):
            return await self.rows_of(await self.output(run, step, port), page)

    async def rows_of(self, reference: Any, page: Page) -> bytes:
        """Rows of any reference, whose run the caller holds. Raises as `rows`."""
        ordered = await self._ordered(reference, page) if page.sort or page.filter is not None else {}
        most_columns, most_bytes = self._settings.columns_limit, self._settings.answer_limit_bytes
        return await self._known(
            reference,
            ("rows", *page.question, most_columns, most_bytes),
            op="rows",
            offset=page.offset,
            limit=page.limit,
            columns=page.columns,
            limit_columns=most_columns,
            limit_bytes=most_bytes,
            **ordered,
        )

    async def download(
        self, run: str, step: str, port: str, format: str, columns: list[str] | None, *, keep_formulas: bool = False
    ) -> Download:
        """An output as a stream: a table in `format`, a file as it is, a value as JSON. Raises as `rows`."""
        find = partial(self.output, run, step, port)
        return await self.download_of(run, find, format, columns, keep_formulas=keep_formulas)

    async def download_of(
        self,
        lender: str,
        find: Callable[[], Awaitable[Any]],
        format: str,
        columns: list[str] | None = None,
        *,
        keep_formulas: bool = False,
    ) -> Download:
        """What `find` says, as a stream, while the data of `lender` is held. Raises as `rows`."""
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._reading.holding(lender))
            reference = await find()
            pieces = self._reader.stream(
                op="download", reference=reference, format=format, columns=columns, keep_formulas=keep_formulas
            )
            first = await anext(pieces, b"")  # errors up to here are answers; later ones cut the download
            held = _Held(first, pieces, stack.pop_all())
        return Download(reference.get("of", reference["kind"]), reference.get("name"), held)

    async def _ordered(self, reference: Any, page: Page) -> dict[str, Any]:
        """What to ask for to get a page of a sorted or filtered table."""
        question = ("order", page.filter, page.sort)
        found = await self._known(
            reference, question, op="order", filter=page.filter, sort=page.sort, limit_rows=ORDERED_ROWS
        )
        (matched,) = wire.MATCHED.unpack_from(found)
        end = min(page.offset + page.limit, matched)
        if end > ORDERED_ROWS and page.offset < end:
            raise LimitExceeded(
                f"of a sorted or filtered table the first {ORDERED_ROWS:,} rows can be looked at: filter more, sort the "
                "other way round, or download the table"
            )
        numbers = memoryview(found)[wire.MATCHED.size :].cast("I")
        return {"at": numbers[page.offset : end].tolist(), "about": {"matched": matched}}

    async def _known(self, reference: Any, question: tuple[Any, ...], **request: Any) -> bytes:
        """The answer to a question about a reference: one that was given before, if it is still there."""
        key = (content_hash(to_json(reference)), question)
        return await self._kept.get(key, lambda: self._reader.ask(reference=reference, **request))


class _Held(AsyncGenerator[bytes, None]):
    """The pieces, and what is held as long as they are read. Unlike a generator's, its end comes even if nobody began."""

    def __init__(self, first: bytes, rest: AsyncGenerator[bytes, None], held: AsyncExitStack) -> None:
        self._first: bytes | None = first
        self._rest = rest
        self._held = held

    async def asend(self, value: None) -> bytes:
        first, self._first = self._first, None
        if first is not None:
            return first
        try:
            return await anext(self._rest)
        except BaseException:
            await self.aclose()
            raise

    async def athrow(self, typ: Any, val: Any = None, tb: Any = None) -> bytes:
        await self.aclose()
        raise typ if val is None else val

    async def aclose(self) -> None:
        async with self._held:
            await self._rest.aclose()
