"""Bytes on the gateway's port that no client library would send, and what comes back."""

from __future__ import annotations

from dataclasses import dataclass

HOST = b"host: 127.0.0.1:%d\r\n"


@dataclass(frozen=True, slots=True)
class RawRow:
    """`%d` in `sent` is the port. `says` is the `detail` of the answer, or the whole answer where it is no problem."""

    title: str
    sent: bytes
    status: int
    says: str

    def __str__(self) -> str:
        return self.title


def get(path: bytes) -> bytes:
    """A request as it is, with nothing made normal."""
    return b"GET " + path + b" HTTP/1.1\r\n" + HOST + b"connection: close\r\n\r\n"


def put(path: bytes, more: bytes = b"", body: bytes = b"x") -> bytes:
    """An upload."""
    kind = b"content-type: application/octet-stream\r\ncontent-length: %%d\r\n"
    return (
        b"PUT "
        + path
        + b" HTTP/1.1\r\n"
        + HOST
        + kind.replace(b"%%d", str(len(body)).encode())
        + more
        + b"connection: close\r\n\r\n"
        + body
    )


FILES = b"/api/v1/files/"

RAW = (
    RawRow(
        "a path with dots",
        get(b"/../../../../etc/passwd"),
        404,
        "there is nothing at /../../../../etc/passwd: the routes are listed at /api/v1/openapi.json",
    ),
    RawRow(
        "a path with dots behind a route",
        get(FILES + b"../../../../etc/passwd"),
        400,
        "a file's name holds no /, \\ or ..: '../../../../etc/passwd'",
    ),
    RawRow(
        "a path with encoded dots",
        get(FILES + b"%2e%2e/%2e%2e/%2e%2e/etc/passwd"),
        400,
        "a file's name holds no /, \\ or ..: '../../../etc/passwd'",
    ),
    RawRow(
        "a path with encoded slashes",
        get(FILES + b"..%2f..%2f..%2fetc%2fpasswd"),
        400,
        "a file's name holds no /, \\ or ..: '../../../etc/passwd'",
    ),
    RawRow(
        "a path with dots in overlong UTF-8",
        get(FILES + b"%c0%ae%c0%ae%c0%af"),
        400,
        "a file's name is UTF-8 text, percent-encoded: '������'",
    ),
    RawRow(
        "a path that begins twice",
        get(b"//etc/passwd"),
        404,
        "there is nothing at //etc/passwd: the routes are listed at /api/v1/openapi.json",
    ),
    RawRow(
        "an address in place of a path",
        get(b"http://evil.example/api/v1/runs"),
        403,
        (
            "this gateway does not answer to the name 'evil.example': use one of 127.0.0.1, [::1], "
            "localhost, or add the name to its setting allowed_hosts"
        ),
    ),
    RawRow(
        "a file's address",
        get(b"file:///etc/passwd"),
        400,
        "this is no HTTP/1.1 request: its first line, a header or its length cannot be read",
    ),
    RawRow("an encoded NUL", get(FILES + b"x%00.csv"), 400, "a file's name holds no control characters: 'x\\x00.csv'"),
    RawRow(
        "a broken escape",
        get(FILES + b"x%zz"),
        404,
        "there is no file 'x%zz' in namespace default (PUT /api/v1/files/NAME uploads one)",
    ),
    RawRow(
        "a byte that is no ASCII",
        get(FILES + b"caf\xe9"),
        400,
        "this is no HTTP/1.1 request: its first line, a header or its length cannot be read",
    ),
    RawRow(
        "a line break in an upload's name",
        put(FILES + b"a%0d%0aset-cookie:%20x"),
        404,
        ("there is nothing at /api/v1/files/aset-cookie: x: the routes are listed at /api/v1/openapi.json"),
    ),
    RawRow(
        "a path of 100,000 characters",
        get(b"/" + b"a" * 100_000),
        400,
        "this is no HTTP/1.1 request: its first line, a header or its length cannot be read",
    ),
    RawRow(
        "no Host",
        b"GET /healthz HTTP/1.1\r\nconnection: close\r\n\r\n",
        403,
        (
            "this gateway does not answer to the name '': use one of 127.0.0.1, [::1], localhost, or "
            "add the name to its setting allowed_hosts"
        ),
    ),
    RawRow(
        "two Hosts",
        b"GET /healthz HTTP/1.1\r\n" + HOST + b"host: evil.example\r\nconnection: close\r\n\r\n",
        403,
        "the header host is there twice: send it once",
    ),
    RawRow(
        "two lengths",
        put(FILES + b"x", b"content-length: 5\r\n"),
        400,
        "this is no HTTP/1.1 request: its first line, a header or its length cannot be read",
    ),
    RawRow(
        "a negative length",
        put(FILES + b"x").replace(b"content-length: 1", b"content-length: -1"),
        400,
        "this is no HTTP/1.1 request: its first line, a header or its length cannot be read",
    ),
    RawRow(
        "a length and chunks",
        put(FILES + b"x", b"transfer-encoding: chunked\r\n", b"0\r\n\r\nGET /healthz HTTP/1.1\r\n\r\n"),
        400,
        "this is no HTTP/1.1 request: its first line, a header or its length cannot be read",
    ),
    RawRow(
        "a chunk of no number",
        put(FILES + b"x", b"", b"zz\r\nx\r\n").replace(b"content-length: 7", b"transfer-encoding: chunked"),
        400,
        "this is no HTTP/1.1 request: its first line, a header or its length cannot be read",
    ),
    RawRow(
        "100 GB announced",
        put(FILES + b"x").replace(b"content-length: 1", b"content-length: 100000000000"),
        413,
        (
            "the file has 100,000,000,000 bytes, 21,474,836,480 are possible: split it, or raise "
            "file_limit_bytes in the gateway's settings"
        ),
    ),
    RawRow(
        "a flow of 100 MB announced",
        put(b"/api/v1/flows/default/f")
        .replace(b"content-length: 1", b"content-length: 100000000")
        .replace(b"octet-stream", b"yaml"),
        413,
        (
            "the body has at least 100,000,000 bytes, 16,777,216 are possible here: hand data in as a "
            "file (PUT /api/v1/files/NAME), or raise json_limit_bytes in the gateway's settings"
        ),
    ),
    RawRow(
        "another protocol",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 200,
        400,
        "this is no HTTP/1.1 request: its first line, a header or its length cannot be read",
    ),
    RawRow(
        "a word",
        b"HELLO\r\n\r\n",
        400,
        "this is no HTTP/1.1 request: its first line, a header or its length cannot be read",
    ),
)
