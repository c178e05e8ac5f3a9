"""How exceptions are classed: the table in the documentation, and errors as libraries really raise them."""

import errno
import http.client
import json
import socket
import sqlite3
import ssl
import urllib.error
from collections.abc import Callable
from email.message import Message
from pathlib import Path
from typing import Any

import duckdb
import httpx2
import pyarrow as pa
import pytest
import sqlalchemy.exc
import tenacity

from module_sdk.error_classes import RULES, table_text
from module_sdk.errors import (
    ConnectionFailed,
    DataError,
    FatalError,
    TooManyRejected,
    TransientError,
    error_class_of,
)
from plugmesh.errors import DataMismatch, ErrorClass, StoreFull

TRANSIENT, CONNECTION, DATA, FATAL = ErrorClass
PSYCOPG = type("Error", (Exception,), {"__module__": "psycopg"})
PAGE = Path(__file__).parents[3] / "docs" / "howto" / "errors-and-dead-letters.md"


def url_error(reason: Any) -> urllib.error.URLError:
    return urllib.error.URLError(reason)


def http_error(status: int) -> Exception:
    return urllib.error.HTTPError("http://x", status, "no", Message(), None)


def httpx_error(status: int) -> Exception:
    request = httpx2.Request("GET", "http://x")
    return httpx2.HTTPStatusError("no", request=request, response=httpx2.Response(status, request=request))


def foreign(module: str, name: str, *bases: type[BaseException], **fields: Any) -> BaseException:
    """An error of a library that is not installed here."""
    kind = type(name, bases or (Exception,), {"__module__": module, **fields})
    error = kind("said")
    assert isinstance(error, BaseException)
    return error


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (TransientError("x"), TRANSIENT),
        (ConnectionFailed("x"), CONNECTION),
        (DataError("x", rows=[1]), DATA),
        (DataMismatch("x"), DATA),
        (TooManyRejected("x"), DATA),
        (StoreFull("x"), TRANSIENT),
        (FatalError("x"), FATAL),
        (ConnectionResetError(), CONNECTION),
        (TimeoutError(), CONNECTION),
        (socket.gaierror(-2, "unknown"), CONNECTION),
        (OSError(errno.EHOSTUNREACH, "no route"), CONNECTION),
        (OSError(errno.ENOSPC, "full"), TRANSIENT),
        (OSError(errno.EMFILE, "too many"), TRANSIENT),
        (OSError(errno.EIO, "broken"), FATAL),
        (FileNotFoundError(errno.ENOENT, "gone"), FATAL),
        (PermissionError(errno.EACCES, "no"), FATAL),
        (MemoryError(), FATAL),
        (KeyboardInterrupt(), FATAL),
        (SystemExit(3), FATAL),
        (ValueError("x"), FATAL),
        (ZeroDivisionError(), FATAL),
        (ssl.SSLError("eof"), CONNECTION),
        (ssl.SSLCertVerificationError("self-signed"), FATAL),
        (http.client.IncompleteRead(b""), CONNECTION),
        (http.client.InvalidURL("x"), FATAL),
        (url_error(ConnectionRefusedError()), CONNECTION),
        (url_error(OSError(errno.ENOSPC, "full")), TRANSIENT),
        (url_error(ssl.SSLCertVerificationError("no")), FATAL),
        (url_error("in words"), CONNECTION),
        (http_error(429), TRANSIENT),
        (http_error(503), TRANSIENT),
        (http_error(404), FATAL),
        (httpx_error(500), TRANSIENT),
        (httpx_error(403), FATAL),
        (httpx2.ConnectTimeout("slow"), CONNECTION),
        (httpx2.UnsupportedProtocol("x"), FATAL),
        (sqlite3.IntegrityError("UNIQUE constraint failed"), DATA),
        (sqlite3.OperationalError("database is locked"), TRANSIENT),
        (sqlite3.OperationalError("no such table: t"), FATAL),
        (sqlalchemy.exc.OperationalError("SELECT", {}, sqlite3.OperationalError("database is locked")), TRANSIENT),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"), DATA),
        (foreign("requests.exceptions", "ReadTimeout", type("Timeout", (OSError,), {"__module__": "requests"})), CONNECTION),
        (foreign("psycopg.errors", "OperationalError", PSYCOPG), CONNECTION),
        (foreign("psycopg.errors", "DeadlockDetected", PSYCOPG, sqlstate="40P01"), TRANSIENT),
        (foreign("psycopg.errors", "IntegrityError", PSYCOPG, sqlstate="23505"), DATA),
        (foreign("botocore.exceptions", "ClientError", response={"ResponseMetadata": {"HTTPStatusCode": 503}}), TRANSIENT),
        (ExceptionGroup("both", [ConnectionError(), ConnectionError()]), CONNECTION),
        (ExceptionGroup("one", [ConnectionError(), ValueError()]), FATAL),
    ],
    ids=lambda value: value.value if isinstance(value, ErrorClass) else type(value).__name__,
)  # fmt: skip
def test_each_error_has_the_class_that_the_table_says(error: BaseException, expected: ErrorClass) -> None:
    assert error_class_of(error) is expected


def _raised(work: Callable[[], Any]) -> BaseException:
    try:
        work()
    except Exception as error:  # noqa: BLE001  any of them
        return error
    raise AssertionError("nothing was raised")


def test_errors_as_libraries_raise_them(tmp_path: Path) -> None:
    first = sqlite3.connect(tmp_path / "a.db", isolation_level=None)
    second = sqlite3.connect(tmp_path / "a.db", isolation_level=None, timeout=0)
    first.execute("BEGIN IMMEDIATE")
    found = {
        "locked": _raised(lambda: second.execute("BEGIN IMMEDIATE")),
        "syntax": _raised(lambda: second.execute("SELEC 1")),
        "cast": _raised(lambda: pa.array(["x"]).cast("int64")),
        "duckdb cast": _raised(lambda: duckdb.connect().execute("SELECT CAST('x' AS INTEGER)").fetchall()),
        "duckdb syntax": _raised(lambda: duckdb.connect().execute("SELEC 1")),
        "json": _raised(lambda: json.loads("{")),
    }
    first.close()
    second.close()
    classes = {name: error_class_of(error) for name, error in found.items()}
    data = dict.fromkeys(("cast", "duckdb cast", "json"), DATA)
    assert classes == {"locked": TRANSIENT, "syntax": FATAL, "duckdb syntax": FATAL} | data


def test_the_last_try_of_tenacity_counts() -> None:
    @tenacity.retry(stop=tenacity.stop_after_attempt(1))
    def refused() -> None:
        raise ConnectionRefusedError

    assert error_class_of(_raised(refused)) is CONNECTION


def test_an_error_that_cannot_be_looked_at_is_fatal() -> None:
    class Broken(OSError):
        @property
        def errno(self) -> int:  # type: ignore[override]
            raise RuntimeError("broken")

    assert error_class_of(foreign("psycopg", "Error", PSYCOPG, args=({},))) is FATAL
    assert error_class_of(Broken()) is FATAL
    one, two = foreign("sqlalchemy.exc", "DBAPIError"), foreign("sqlalchemy.exc", "DBAPIError")
    vars(one)["orig"], vars(two)["orig"] = two, one
    assert error_class_of(one) is FATAL


def test_the_page_shows_the_table_as_it_is() -> None:
    assert table_text() in PAGE.read_text()


def test_every_class_of_the_table_is_one_that_a_flow_may_name() -> None:
    assert {rule.error_class for rule in RULES} == set(ErrorClass)
