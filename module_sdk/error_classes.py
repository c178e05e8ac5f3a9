"""How an exception that a module raised is classed: one table, which the documentation shows and a test compares.

Libraries are recognised by the names of their classes, so that none of them is imported here.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from plugmesh.errors import ErrorClass, PlugmeshError

_TRANSIENT_ERRNOS = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.EBUSY, errno.EINTR, errno.ESTALE}
)
_CONNECTION_ERRNOS = frozenset(
    {
        errno.EHOSTUNREACH,
        errno.EHOSTDOWN,
        errno.ENETUNREACH,
        errno.ENETDOWN,
        errno.ENETRESET,
        errno.ENOTCONN,
        errno.EADDRNOTAVAIL,
    }
)
_TRANSIENT_STATUSES = frozenset({408, 425, 429})
_SQLITE_TRANSIENT = frozenset({5, 6, 13})
"""Busy, locked, full."""
_TRANSIENT_SQLSTATES = ("40", "53", "55P03", "57P0")
"""Beginnings of SQL states: rolled back for a conflict, out of resources, lock not available, shutting down."""
_TRANSIENT_MYSQL = frozenset({1040, 1205, 1213})
"""Too many connections, lock wait timeout, deadlock."""
_CHAIN = 10

Applies = Callable[[BaseException], bool]


@dataclass(frozen=True, slots=True)
class Rule:
    """One row of the table: exceptions with one of these class names among their bases, and where `applies` is true.

    A name is `Name` of a built-in exception, or `package.Name` with the first word of the class's module.
    """

    error_class: ErrorClass
    names: tuple[str, ...]
    what: str
    applies: Applies | None = None


def error_class_of(error: BaseException) -> ErrorClass:
    """The class of any exception that a module raised: its own, or that of the first rule that fits, else `fatal`."""
    try:
        return _class_of(error)
    except Exception:  # noqa: BLE001  an author's attributes may be broken, in every way
        return ErrorClass.FATAL


def _class_of(error: BaseException) -> ErrorClass:
    if isinstance(error, PlugmeshError):
        return error.error_class
    if isinstance(error, BaseExceptionGroup):
        return _of_group(error)
    if (inner := _wrapped(error)) is not None:
        return _class_of(inner)
    names = frozenset(_names(type(error)))
    for rule in RULES:
        if not names.isdisjoint(rule.names) and (rule.applies is None or rule.applies(error)):
            return rule.error_class
    return ErrorClass.FATAL


def _names(kind: type) -> Iterator[str]:
    for one in kind.__mro__:
        package = one.__module__.partition(".")[0].lstrip("_")
        yield one.__name__ if package == "builtins" else f"{package}.{one.__name__}"


def _of_group(group: BaseExceptionGroup[BaseException]) -> ErrorClass:
    """Several errors are worth another try only if each of them is."""
    found = {_class_of(one) for one in group.exceptions[:_CHAIN]}
    if len(found) == 1:
        return found.pop()
    return ErrorClass.CONNECTION if found == {ErrorClass.CONNECTION, ErrorClass.TRANSIENT} else ErrorClass.FATAL


def _wrapped(error: BaseException) -> BaseException | None:
    """What the error only carries: SQLAlchemy's driver error, the reason of a URL error, tenacity's last try."""
    names = frozenset(_names(type(error)))
    found: object = None
    if "sqlalchemy.DBAPIError" in names:
        found = getattr(error, "orig", None)
    elif "urllib.URLError" in names and "urllib.HTTPError" not in names:
        found = getattr(error, "reason", None)
    elif "tenacity.RetryError" in names:
        last = getattr(error, "last_attempt", None)
        found = None if last is None else last.exception()
    return found if isinstance(found, BaseException) and found is not error else None


# -- what rules look at ------------------------------------------------------------------------------------------------


def _status(error: BaseException) -> int | None:
    """The HTTP status that a client's error carries."""
    response = getattr(error, "response", None)
    if isinstance(response, dict):  # botocore
        response = response.get("ResponseMetadata") or {}
        found = response.get("HTTPStatusCode")
        return found if isinstance(found, int) else None
    for holder in (response, error):
        for name in ("status_code", "status", "code"):
            found = getattr(holder, name, None)
            if isinstance(found, int) and not isinstance(found, bool) and 100 <= found < 600:
                return int(found)
    return None


def _asks_to_wait(error: BaseException) -> bool:
    status = _status(error)
    return status is not None and (status in _TRANSIENT_STATUSES or status >= 500)


def _refuses(error: BaseException) -> bool:
    return _status(error) is not None


def _has_transient_errno(error: BaseException) -> bool:
    return getattr(error, "errno", None) in _TRANSIENT_ERRNOS


def _has_connection_errno(error: BaseException) -> bool:
    return getattr(error, "errno", None) in _CONNECTION_ERRNOS


def _sqlite_may_pass(error: BaseException) -> bool:
    code = getattr(error, "sqlite_errorcode", None)
    if isinstance(code, int):
        return code & 0xFF in _SQLITE_TRANSIENT
    return "locked" in str(error)


def _says_lock(error: BaseException) -> bool:
    return "lock on file" in str(error)


def _database_may_pass(error: BaseException) -> bool:
    state = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None)
    if isinstance(state, str) and state.startswith(_TRANSIENT_SQLSTATES):
        return True
    return bool(error.args) and error.args[0] in _TRANSIENT_MYSQL


def _has_lost_its_database(error: BaseException) -> bool:
    """No SQL state, or one of class 08: it is about the connection and no statement."""
    state = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None)
    if isinstance(state, str):
        return state.startswith("08")
    number = error.args[0] if error.args else None
    return not isinstance(number, int) or number >= 2000 or number == 0


_T, _C, _D, _F = ErrorClass.TRANSIENT, ErrorClass.CONNECTION, ErrorClass.DATA, ErrorClass.FATAL
_HTTP = (
    "requests.HTTPError", "httpx.HTTPStatusError", "httpx2.HTTPStatusError", "urllib.HTTPError",
    "aiohttp.ClientResponseError", "botocore.ClientError",
)  # fmt: skip
_DATABASES = ("psycopg", "psycopg2", "pymysql", "MySQLdb", "oracledb", "pyodbc", "adbc_driver_manager", "asyncpg")


def _of_databases(*names: str) -> tuple[str, ...]:
    return tuple(f"{database}.{name}" for database in _DATABASES for name in names)


RULES: tuple[Rule, ...] = (
    Rule(_T, _HTTP, "an HTTP answer 408, 425, 429 or 5xx", _asks_to_wait),
    Rule(_F, _HTTP, "any other HTTP answer that a client raises an error for", _refuses),
    Rule(
        _F,
        ("requests.InvalidURL", "requests.MissingSchema", "requests.InvalidSchema", "httpx.UnsupportedProtocol",
         "httpx2.UnsupportedProtocol", "http.InvalidURL"),
        "an address that is none",
    ),
    Rule(_F, ("ssl.SSLCertVerificationError",), "a certificate that cannot be trusted"),
    Rule(
        _C,
        ("ConnectionError", "TimeoutError", "socket.gaierror", "socket.herror", "ssl.SSLError"),
        "a connection that was refused, reset or lost, a name that was not found, a time that ran out",
    ),
    Rule(_C, ("OSError",), "an `OSError` that says host or network cannot be reached", _has_connection_errno),
    Rule(
        _C,
        ("http.HTTPException", "urllib.URLError", "requests.ConnectionError", "requests.Timeout",
         "requests.ChunkedEncodingError", "httpx.TransportError", "httpx2.TransportError", "httpcore.NetworkError",
         "httpcore.TimeoutException", "httpcore.RemoteProtocolError", "urllib3.NewConnectionError",
         "urllib3.TimeoutError", "urllib3.ProtocolError", "urllib3.MaxRetryError", "aiohttp.ClientConnectionError",
         "aiohttp.ClientPayloadError", "websockets.ConnectionClosed", "asyncssh.DisconnectError",
         "asyncssh.ConnectionLost", "paramiko.SSHException", "redis.ConnectionError", "redis.TimeoutError",
         "botocore.EndpointConnectionError", "botocore.ConnectionClosedError", "botocore.ConnectTimeoutError",
         "botocore.ReadTimeoutError"),
        "the same, in the words of an HTTP, SSH, Redis or S3 client",
    ),
    Rule(
        _T,
        ("OSError",),
        "an `OSError` that says: disk or quota full, too many open files, busy, try again (`ENOSPC`, `EDQUOT`, `EMFILE`, "
        "`ENFILE`, `EAGAIN`, `EBUSY`, `EINTR`, `ESTALE`)",
        _has_transient_errno,
    ),
    Rule(_T, ("sqlite3.OperationalError",), "SQLite: the database is locked, busy or full", _sqlite_may_pass),
    Rule(
        _T,
        _of_databases("Error", "PostgresError"),
        "a database: deadlock, conflict of transactions, no lock, out of resources, shutting down",
        _database_may_pass,
    ),
    Rule(_T, ("duckdb.TransactionException",), "DuckDB: transactions in conflict"),
    Rule(_T, ("duckdb.IOException",), "DuckDB: another process has locked the file", _says_lock),
    Rule(_C, ("duckdb.HTTPException",), "DuckDB: a remote file that does not answer"),
    Rule(
        _D,
        ("sqlite3.IntegrityError", "sqlite3.DataError", *_of_databases("IntegrityError", "DataError"),
         "duckdb.ConstraintException", "duckdb.ConversionException", "duckdb.OutOfRangeException",
         "duckdb.InvalidInputException"),
        "a database refuses values: a constraint, a range, a conversion",
    ),
    Rule(
        _C,
        _of_databases("OperationalError", "InterfaceError"),
        "a database that cannot be reached, or whose connection was lost",
        _has_lost_its_database,
    ),
    Rule(
        _D,
        ("pyarrow.ArrowInvalid", "pandas.ParserError", "pandas.EmptyDataError", "pandas.IntCastingNaNError",
         "pandas.OutOfBoundsDatetime", "pandas.OutOfBoundsTimedelta", "polars.ComputeError",
         "polars.InvalidOperationError", "polars.NoDataError", "pydantic_core.ValidationError"),
        "Arrow, pandas, polars or pydantic cannot read or convert values",
    ),
    Rule(
        _D,
        ("UnicodeError", "json.JSONDecodeError", "csv.Error", "decimal.InvalidOperation", "zipfile.BadZipFile",
         "gzip.BadGzipFile", "zlib.error", "lzma.LZMAError", "EOFError"),
        "bytes or text that are not what they should be: encoding, JSON, CSV, decimals, archives, a file that ends too early",
    ),
    Rule(
        _F,
        ("MemoryError", "KeyboardInterrupt", "SystemExit", "Exception", "BaseException"),
        "every other exception: `ValueError`, `KeyError`, `FileNotFoundError`, `PermissionError`, `MemoryError`, "
        "`KeyboardInterrupt`, `SystemExit`, …",
    ),
)  # fmt: skip


def table_text() -> str:
    """The rules as the rows of a Markdown table, in their order: the first one that fits counts."""
    lines = ["| what was raised | class |", "| --- | --- |"]
    lines += [f"| {rule.what} | {rule.error_class} |" for rule in RULES]
    return "\n".join(lines)
