"""How often a function is called for one attempt: once; and again without the rows that it cannot use, if it says which.

Pure but for what `Work` does. Calling the function is the executor's part: `Calls` only says with what.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from module_sdk.errors import TooManyRejected, error_class_of
from module_sdk.invoke import Prepared
from module_sdk.rejected_rows import as_number
from plugmesh.errors import ContractError, DataError, ErrorClass

if TYPE_CHECKING:
    import pyarrow as pa

RECALLS = 5
"""So often a function may say anew which rows it cannot use."""
NARROWED = 100
"""Most bad rows that are looked for by halving."""

_PASSING = frozenset({ErrorClass.TRANSIENT, ErrorClass.CONNECTION})

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class RowInput(Protocol):
    """The only table that a module is handed; masks have a truth value for each of its rows."""

    @property
    def rows(self) -> int:
        """How many it has."""
        ...

    def only(self, mask: pa.BooleanArray) -> Prepared:
        """A call with these rows only."""
        ...

    def reject(self, mask: pa.BooleanArray, reason: str) -> None:
        """Send these rows to the dead letters. Raises `TooManyRejected`."""
        ...


class Narrowing(Protocol):
    """Calls with some rows, only to see whether they work. At most `most` bad rows are looked for."""

    most: int
    rows: int

    def part(self, start: int, rows: int) -> Prepared:
        """A call with these rows."""
        ...

    def look_at(self, returned: Any, prepared: Prepared) -> None:
        """Check what it returned, to its end; nothing is written."""
        ...


class Work(Protocol[T_co]):
    """What an attempt does beside calling the function."""

    def finish(self, returned: Any, prepared: Prepared) -> T_co:
        """Check and write what was returned."""
        ...

    def row_input(self) -> RowInput | None:
        """The only table of the module; `None` if it has none or several."""
        ...

    def narrowing(self) -> Narrowing | None:
        """How to look for bad rows; `None` if it may not be done."""
        ...

    def mark(self) -> Any:
        """What was reported until now."""
        ...

    def back_to(self, mark: Any) -> None:
        """Forget what was reported since; `None`: all of it."""
        ...


class Calls(Generic[T]):
    """The calls of one attempt: as long as `asked` is not None, call the function with it and say what came of it.

    Nearly always there is one call: `first` makes the result of what it returned, and `work` is asked for nothing.
    """

    def __init__(self, first: Callable[[Any, Prepared], T], work: Callable[[], Work[T]], prepared: Prepared) -> None:
        self._first, self._work, self._prepared = first, work, prepared
        self._calls: Generator[Prepared, Any, T] | None = None
        self._result: list[T] = []
        self.asked: Prepared | None = prepared

    @property
    def result(self) -> T:
        """What the attempt comes to, when nothing more is asked."""
        return self._result[0]

    def returned(self, value: Any) -> None:
        """Raises what is wrong with it."""
        if self._calls is not None:
            self._tell(self._calls, value)
            return
        try:
            self._result.append(self._first(value, self._prepared))
        except DataError as error:
            self.failed(error)
        else:
            self.asked = None

    def _tell(self, calls: Generator[Prepared, Any, T], value: Any) -> None:
        try:
            self.asked = calls.send(value)
        except StopIteration as end:
            self.asked = None
            self._result.append(end.value)

    def failed(self, error: Exception) -> None:
        """Raises `error`, if there is nothing else to be done about it."""
        if self._calls is None:
            if not isinstance(error, DataError):
                raise error
            self._calls = _calls(self._work(), self._prepared)
            next(self._calls)
        if isinstance(error, StopIteration):  # a generator cannot be told of one
            raise error
        self.asked = self._calls.throw(error)


def _calls(work: Work[T], prepared: Prepared) -> Generator[Prepared, Any, T]:
    left: _Left | None = None
    mark = None
    for again in range(RECALLS + 1):
        try:
            returned = yield prepared
            return work.finish(returned, prepared)
        except DataError as error:
            given = None if isinstance(error, TooManyRejected) or again == RECALLS else work.row_input()
            named = getattr(error, "rows", None)  # an author's class may not have called its base
            narrowing = work.narrowing() if named is None and given is not None and left is None else None
            if given is None or (named is None and narrowing is None):
                raise
            left = left or _Left(given.rows)
            if narrowing is None:
                found = {str(error): left.named(named, error)}
                work.back_to(mark)
            else:
                found = yield from _narrowed(work, narrowing, error)
                work.back_to(mark)
            for reason, mask_of_reason in found.items():
                given.reject(left.take_out(mask_of_reason), reason)
            prepared = given.only(left.all)
            mark = work.mark()
    raise AssertionError("the last call either returned or raised")


def _narrowed(
    work: Work[T], given: Narrowing, error: DataError
) -> Generator[Prepared, Any, dict[str, pa.BooleanArray]]:
    """The bad rows with their reasons, found by halving: about two calls for each halving, for each bad row.

    Raises `error` if it is not about single rows: the function fails without any, or with each, or there are too many.
    """
    import pyarrow as pa

    bad: dict[int, str] = {}
    if given.rows < 2 or (yield from _fails(work, given, 0, 0, error)) is not None:
        raise error
    ranges = [(given.rows // 2, given.rows), (0, given.rows // 2)]
    while ranges:
        start, end = ranges.pop()
        found = yield from _fails(work, given, start, end - start, error)
        if found is None:
            continue
        if end - start == 1:
            bad[start] = str(found)
        else:
            middle = (start + end) // 2
            ranges += [(middle, end), (start, middle)]
        if len(bad) > given.most or len(bad) == given.rows:
            raise error
    if not bad:
        raise error
    return {
        reason: pa.array([bad.get(number) == reason for number in range(given.rows)], pa.bool_())
        for reason in dict.fromkeys(bad.values())
    }


def _fails(
    work: Work[T], given: Narrowing, start: int, rows: int, searched: DataError
) -> Generator[Prepared, Any, DataError | None]:
    """Call the function with some rows, to see whether it works with them.

    Raises `searched` when it fails in another way: it cannot be called with any rows, so that the search says nothing.
    What is worth another try is raised itself.
    """
    mark = work.mark()
    prepared = given.part(start, rows)
    try:
        returned = yield prepared
        given.look_at(returned, prepared)
    except TooManyRejected:
        raise
    except DataError as error:
        work.back_to(mark)
        return error
    except Exception as error:
        work.back_to(mark)
        if error_class_of(error) in _PASSING:
            raise
        raise searched from None
    work.back_to(mark)
    return None


class _Left:
    """The rows that were not rejected yet, by their numbers in the whole table."""

    def __init__(self, rows: int) -> None:
        import pyarrow as pa

        self.all: pa.BooleanArray = pa.repeat(pa.scalar(True), rows)

    def named(self, rows: Any, error: DataError) -> pa.BooleanArray:
        """`DataError(rows=…)`, which is about the rows that are left, over the whole table. Raises `ContractError`."""
        import pyarrow.compute as pc

        mask = row_mask(rows, int(pc.sum(self.all).as_py() or 0), error)
        return pc.replace_with_mask(self.all, self.all, mask)

    def take_out(self, mask: pa.BooleanArray) -> pa.BooleanArray:
        """Take rows out; returns them."""
        import pyarrow.compute as pc

        self.all = pc.and_not(self.all, mask)
        return mask


def row_mask(rows: Any, count: int, error: DataError | None = None) -> pa.BooleanArray:
    """Numbers of rows, or a truth value for each of `count` rows, as a mask. Raises `ContractError` for anything else."""
    import pyarrow as pa
    import pyarrow.compute as pc

    found = _as_array(rows, error)
    if pa.types.is_boolean(found.type):
        if len(found) != count:
            raise _wrong(f"has {len(found):,} truth values, and the table has {count:,} rows", error)
        mask = pc.fill_null(found, False)
    elif pa.types.is_integer(found.type) and not found.null_count:
        outside = found.filter(pc.or_(pc.less(found, 0), pc.greater_equal(found, count)))
        if len(outside):
            raise _wrong(f"names row {outside[0].as_py():,}, and the table has the rows 0 to {count - 1:,}", error)
        numbers = pc.indices_nonzero(pa.repeat(pa.scalar(True), count)).cast(pa.int64())
        mask = pc.is_in(numbers, value_set=found.cast(pa.int64()))
    else:
        raise _wrong(f"holds {found.type}: it takes numbers of rows from 0, or a truth value for each row", error)
    if not pc.any(mask).as_py():
        raise _wrong("names no row", error)
    return mask.combine_chunks() if isinstance(mask, pa.ChunkedArray) else mask


def _as_array(rows: Any, error: DataError | None) -> pa.Array:
    import pyarrow as pa

    rows = as_number(rows)
    if isinstance(rows, int) and not isinstance(rows, bool):
        rows = [rows]
    elif isinstance(rows, set | frozenset | range):
        rows = sorted(rows)
    elif hasattr(rows, "to_arrow"):  # polars
        rows = rows.to_arrow()
    try:
        found = rows if isinstance(rows, pa.Array | pa.ChunkedArray) else pa.array(rows)
    except (pa.ArrowException, TypeError, ValueError):
        raise _wrong(
            f"is {type(rows).__name__}: it takes numbers of rows from 0, or a truth value for each row", error
        ) from None
    found = found.combine_chunks() if isinstance(found, pa.ChunkedArray) else found
    return found.cast(pa.int64()) if pa.types.is_null(found.type) and not len(found) else found


def _wrong(problem: str, error: DataError | None) -> ContractError:
    said = "" if error is None else f" (it said: {error})"
    wrong = ContractError(f"rows= of a DataError {problem}{said}")
    wrong.__cause__ = error
    return wrong
