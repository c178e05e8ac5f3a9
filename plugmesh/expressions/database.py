"""DuckDB as a calculator: no files, no network, no extensions, no Python objects, and settings that nobody can change.

It computes; it stores nothing. What it is given are Arrow columns and expressions that `expression.parse` accepted.
"""

from __future__ import annotations

import atexit
import functools
import os
import re
import resource
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from plugmesh.errors import Cancelled, DataError, LimitExceeded

if TYPE_CHECKING:
    import duckdb

TIME_LIMIT_S = 600.0
"""An evaluation that takes longer is interrupted; a step's own time-out usually comes first."""
MAX_DEPTH = 200
"""How deep an expression may be nested."""

_LOCKED_DOWN = {
    "enable_external_access": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "allow_community_extensions": "false",
    "python_enable_replacements": "false",
    "python_scan_all_frames": "false",
    "temp_directory": "",
    "max_expression_depth": str(MAX_DEPTH),
    # One thread: sums of floats, `first` and `list` come out the same each time, and steps share the cores anyway.
    "threads": "1",
}
_KIND_OF_ERROR = re.compile(r"^[A-Z][A-Za-z ]* Error: ")
_SAID_BETTER = {
    r"must appear in the GROUP BY clause": "must be in `by`",
    r"Cannot mix aggregates with non-aggregated columns!": "a column outside of an aggregate must be in `by`",
    r",? or SET error_on_division_by_zero=false[^.]*\.": " instead.",
}
_CARETS = re.compile(r"^LINE \d+: (?P<line>.*)\n(?P<indent> *)(?P<carets>\^+)", re.MULTILINE)


class Exhausted(DataError):
    """An evaluation needs more memory or time than it may have: trying again is as useless as with wrong data."""

    code = LimitExceeded.code


@contextmanager
def evaluation(what: str, time_limit_s: float = TIME_LIMIT_S) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection for one piece of work. DuckDB's errors become a `DataError` that starts with `what`."""
    import duckdb

    connection = _database().cursor()
    timer = threading.Timer(time_limit_s, connection.interrupt)
    timer.daemon = True
    timer.start()
    try:
        yield connection
    except duckdb.InterruptException:
        raise Exhausted(f"{what}: it took longer than {time_limit_s:g} s and was interrupted") from None
    except duckdb.OutOfMemoryException:
        limit = f"{_memory_limit_mb()} MB"
        raise Exhausted(f"{what}: it needs more than {limit} of memory; work on fewer rows or shorter values") from None
    except RuntimeError as error:
        if str(error) != "Query interrupted":
            raise
        # DuckDB stopped for a signal, and dropped what its handler raised: the attempt was cancelled.
        raise Cancelled(f"{what}: it was interrupted") from None
    except duckdb.Error as error:
        raise DataError(f"{what}: {explain(str(error))}") from None
    finally:
        timer.cancel()
        connection.close()


def explain(message: str) -> str:
    """What a message of DuckDB says, in one line, with the piece of the expression it points at."""
    said = [line.strip() for line in message.partition("\nLINE ")[0].splitlines()]
    first = _KIND_OF_ERROR.sub("", said[0]) if said else message
    signatures = [line for line in said[1:] if "->" in line]
    if signatures:
        first = first.partition(" You might need")[0].rstrip(".") + "; it takes " + " or ".join(signatures[:4])
    for theirs, ours in _SAID_BETTER.items():
        first = re.sub(theirs, ours, first)
    found = _CARETS.search(message)
    if found is None:
        return first
    start = len(found["indent"]) - len("LINE 1: ")
    piece = found["line"][max(start, 0) :][: len(found["carets"])].strip()
    return f"{first} (at {piece!r})" if piece else first


@functools.cache
def _database() -> duckdb.DuckDBPyConnection:
    """The process's database: empty, in memory, and locked; opening one takes 30 ms, a connection to it 0.02."""
    import duckdb

    database = duckdb.connect(":memory:", config={**_LOCKED_DOWN, "memory_limit": f"{_memory_limit_mb()}MB"})
    database.execute("SET GLOBAL TimeZone = 'UTC'")
    database.execute("SET lock_configuration = true")
    atexit.register(_database.cache_clear)  # DuckDB complains on stderr about what outlives the interpreter
    return database


def _memory_limit_mb() -> int:
    """Half of what there is (of the machine, or of what this process may take), at most 4 GB."""
    there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    allowed, _ = resource.getrlimit(resource.RLIMIT_DATA)
    if allowed != resource.RLIM_INFINITY:
        there = min(there, allowed)
    return max(64, min(4_000, there // 2_000_000))
