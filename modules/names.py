"""Names of columns as people type them: what is there, what was probably meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

from module_sdk import DataError

_SHOWN = 20


def did_you_mean(word: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """` (did you mean 'x'?)`, or nothing when no known word is near."""
    by_fold = {name.casefold(): name for name in known}
    near = difflib.get_close_matches(word.casefold(), by_fold, n=1, cutoff=cutoff)
    return f" (did you mean {by_fold[near[0]]!r}?)" if near else ""


def listing(names: Sequence[str]) -> str:
    """The names for a message: at most twenty."""
    rest = len(names) - _SHOWN
    shown = ", ".join(names[:_SHOWN]) or "none"
    return f"{shown} and {rest} more" if rest > 0 else shown


def unknown_column(param: str, name: str, known: Sequence[str], port: str = "table") -> DataError:
    """What to raise for a column that is not there."""
    return DataError(
        f"{param}: the input {port!r} has no column {name!r}{did_you_mean(name, known)}; it has {listing(known)}",
        port=port,
        column=name,
    )


def check_columns(param: str, names: Iterable[str], known: Sequence[str], port: str = "table") -> None:
    """Raise `DataError` for the first of `names` that is unknown, or is there twice."""
    seen = set()
    for name in names:
        if name not in known:
            raise unknown_column(param, name, known, port)
        if name in seen:
            raise DataError(f"{param}: the column {name!r} is named twice")
        seen.add(name)


def check_file_columns(names: Sequence[str], columns: Iterable[str]) -> None:
    """Raise `DataError` when two columns of a file have one name, or one of `columns` is not there."""
    twice = next((name for name in names if names.count(name) > 1), None) if len(set(names)) < len(names) else None
    if twice is not None:
        raise DataError(f"file: two columns are called {twice!r}; for csv, give the names in `header` and skip nothing")
    check_columns("columns", columns, names, "file")
