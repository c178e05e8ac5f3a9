"""Whoever writes bytes to the port himself: requests that two readers could read differently, foreign names, path tricks,
floods, and frames that the hub's link must not take. Everything is answered in words or cut off, and others are served."""

from __future__ import annotations

import asyncio
import json
import logging
import struct
from contextlib import suppress
from typing import Any

import pytest

from plugmesh.hub.frames import Opcode, encode
from plugmesh.hub.wire import FRAME_LIMIT_BYTES, Hello, line
from plugmesh.settings.settings import Settings
from tests.integration.gateway.house import House
from tests.integration.gateway.sockets import raw, served

HOST = b"Host: localhost\r\n"
JSON_BODY = HOST + b"Content-Type: application/json\r\n"
UPGRADE = (
    b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
LINK = b"GET /api/v1/mesh HTTP/1.1\r\n" + HOST + UPGRADE
MASK = b"\1\2\3\4"
Cases = dict[str, tuple[bytes, int, str]]


def get(path: bytes, headers: bytes = HOST) -> bytes:
    return b"GET " + path + b" HTTP/1.1\r\n" + headers + b"\r\n"


def post(headers: bytes, body: bytes = b"{}") -> bytes:
    return b"POST /api/v1/runs HTTP/1.1\r\n" + JSON_BODY + headers + b"\r\n" + body


async def read_answer(reader: asyncio.StreamReader) -> tuple[int, str]:
    """Status and detail (or whole body) of the next answer."""
    head = await reader.readuntil(b"\r\n\r\n")
    fields = dict(field.lower().split(b": ", 1) for field in head.split(b"\r\n")[1:-2])
    body = await reader.readexactly(int(fields[b"content-length"]))
    problem = b"problem" in fields.get(b"content-type", b"")
    return int(head.split()[1]), json.loads(body)["detail"] if problem else body.decode()


async def all_answered(house: House, cases: Cases) -> None:
    """Each case gets its status and words, and nothing else is answered to it."""
    wrong: dict[str, Any] = {}

    async def one(name: str, data: bytes, status: int, words: str) -> None:
        async with raw(port, data) as (reader, writer):
            found, said = await read_answer(reader)
            writer.write_eof()
            rest = b""
            with suppress(ConnectionError):
                rest = await reader.read()
            if found != status or words not in said or b"HTTP/1.1 2" in rest:
                wrong[name] = (found, said, rest)

    async with served(house, Settings()) as port, asyncio.timeout(60):
        await asyncio.gather(*(one(name, *case) for name, case in cases.items()))
    assert wrong == {}


UNREADABLE = "this is no HTTP/1.1 request"


async def test_a_request_that_two_readers_could_cut_differently_is_refused(house: House) -> None:
    hidden = b"0\r\n\r\n" + get(b"/healthz")
    await all_answered(
        house,
        {
            "two ways to say how long": (post(b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", hidden), 400, UNREADABLE),
            "chunked is not last": (post(b"Transfer-Encoding: chunked, identity\r\n", hidden), 400, UNREADABLE),
            "an unknown coding": (post(b"Transfer-Encoding: xchunked\r\n", hidden), 400, UNREADABLE),
            "a blank before the colon": (post(b"Transfer-Encoding : chunked\r\n", hidden), 400, UNREADABLE),
            "two lengths": (post(b"Content-Length: 2\r\nContent-Length: 3\r\n"), 400, UNREADABLE),
            "a list of lengths": (post(b"Content-Length: 2, 2\r\n"), 400, UNREADABLE),
            "a signed length": (post(b"Content-Length: +2\r\n"), 400, UNREADABLE),
            "a length beyond all numbers": (post(b"Content-Length: 99999999999999999999999\r\n"), 400, UNREADABLE),
            "a folded header": (get(b"/healthz", HOST + b"X-A: b\r\n c\r\n"), 400, UNREADABLE),
            "a name with a blank": (get(b"/healthz", HOST + b"X A: b\r\n"), 400, UNREADABLE),
            "a NUL": (get(b"/healthz", HOST + b"X-A: a\0b\r\n"), 400, UNREADABLE),
            "a bare carriage return": (get(b"/healthz", HOST + b"X-A: a\rX-B: c\r\n"), 400, UNREADABLE),
            "bare newlines": (b"GET /healthz HTTP/1.1\nHost: localhost\n\n", 400, UNREADABLE),
        },
    )  # fmt: skip


async def test_what_is_no_http_is_told_so(house: House) -> None:
    await all_answered(
        house,
        {
            "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"x" * 50, 400, UNREADABLE),
            "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, UNREADABLE),
            "HTTP/1.9": (b"GET /healthz HTTP/1.9\r\n" + HOST + b"\r\n", 400, UNREADABLE),
            "a tunnel": (b"CONNECT evil.example:443 HTTP/1.1\r\n" + HOST + b"\r\n", 400, UNREADABLE),
            "a made-up method": (b"JUMP / HTTP/1.1\r\n" + HOST + b"\r\n", 400, UNREADABLE),
            "an echo": (b"TRACE /healthz HTTP/1.1\r\n" + HOST + b"Cookie: secret\r\n\r\n", 405, "TRACE"),
            "bytes in the path": (get(b"/api/v1/files/\xff\xfe"), 400, UNREADABLE),
            "another protocol": (get(b"/healthz", HOST + b"Connection: Upgrade\r\nUpgrade: h2c\r\n"), 200, "alive"),
        },
    )


async def test_only_its_own_names_lead_to_a_gateway(house: House) -> None:
    foreign = "does not answer to the name"
    page = "may not call this gateway"
    await all_answered(
        house,
        {
            "a name that resolves to this machine": (get(b"/healthz", b"Host: evil.example:8720\r\n"), 403, foreign),
            "a name below": (get(b"/healthz", b"Host: localhost.evil.example\r\n"), 403, foreign),
            "a user before it": (get(b"/healthz", b"Host: localhost@evil.example\r\n"), 403, foreign),
            "a port that is none": (get(b"/healthz", b"Host: localhost:evil.example\r\n"), 403, foreign),
            "more behind the brackets": (get(b"/healthz", b"Host: [::1]evil.example\r\n"), 403, foreign),
            "no name": (get(b"/healthz", b""), 403, foreign),
            "two names": (get(b"/healthz", HOST + b"Host: evil.example\r\n"), 403, "is there twice"),
            "the name in the line counts": (get(b"http://evil.example/healthz"), 403, foreign),
            "and not the other": (get(b"http://localhost/healthz", b"Host: evil.example\r\n"), 200, "alive"),
            "a name handed on": (
                get(b"/healthz", b"Host: evil.example\r\nX-Forwarded-Host: localhost\r\n"), 403, foreign,
            ),
            "another page": (get(b"/healthz", HOST + b"Origin: http://evil.example\r\n"), 403, page),
            "a page of nowhere": (get(b"/healthz", HOST + b"Origin: null\r\n"), 403, page),
            "two pages": (
                get(b"/healthz", HOST + b"Origin: http://localhost\r\nOrigin: http://evil.example\r\n"), 403, "twice",
            ),
            "another page's link": (
                LINK.replace(HOST, HOST + b"Origin: http://evil.example\r\n"), 403, page,
            ),
        },
    )  # fmt: skip


async def test_no_path_is_more_than_a_name(house: House) -> None:
    nothing, name = "there is nothing at", "a file's name"
    await all_answered(
        house,
        {
            "two slashes": (get(b"//healthz"), 404, nothing),
            "another host's path": (get(b"//evil.example/healthz"), 404, nothing),
            "a dot": (get(b"/./healthz"), 404, nothing),
            "a parameter": (get(b"/healthz;x=y"), 404, nothing),
            "all": (b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n", 404, nothing),
            "up": (get(b"/api/v1/files/../../../../etc/passwd"), 400, name),
            "up, encoded": (get(b"/api/v1/files/..%2f..%2fetc%2fpasswd"), 400, name),
            "up, encoded twice": (get(b"/api/v1/files/%252e%252e%252fpasswd"), 404, "there is no file"),
            "up, on Windows": (get(b"/api/v1/files/..\\..\\x"), 400, name),
            "NUL": (get(b"/api/v1/files/a%00b"), 400, name),
            "no UTF-8": (get(b"/api/v1/files/%ff%fe"), 400, name),
            "a line break in a query": (get(b"/healthz?x=%0d%0aSet-Cookie:a=b"), 400, "no query parameter"),
        },
    )


async def test_what_comes_behind_a_body_in_pieces_is_no_header(house: House) -> None:
    trailer = b"Host: evil.example\r\nOrigin: http://evil.example\r\n" + b"X: y\r\n" * 100_000
    data = post(b"Transfer-Encoding: chunked\r\n", b"2\r\n{}\r\n0\r\n" + trailer + b"\r\n")
    await all_answered(house, {"a trailer": (data, 422, "flow: Field required")})


async def test_requests_sent_before_their_answers_are_answered_in_order(house: House) -> None:
    async with served(house, Settings()) as port, raw(port, get(b"/healthz") * 99 + get(b"/nothing")) as (reader, _):
        statuses = [(await read_answer(reader))[0] for _ in range(100)]
    assert statuses == [200] * 99 + [404]


async def test_an_answer_before_the_end_of_a_body_reaches_who_still_sends(house: House) -> None:
    size = 8 * 2**20
    head = b"PUT /api/v1/runs HTTP/1.1\r\nConnection: close\r\nContent-Length: %d\r\n" % size + HOST + b"\r\n"
    async with served(house, Settings()) as port, raw(port, head) as (reader, writer):
        for _ in range(size // 65536):
            writer.write(b"x" * 65536)
            await writer.drain()
        assert (await read_answer(reader))[0] == 405
        assert await reader.read() == b""


async def test_bad_requests_fill_no_log(house: House, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    elsewhere = LINK.replace(b"/mesh", b"/runs")
    await all_answered(
        house,
        {
            "nonsense": (b"nonsense\r\n\r\n", 400, UNREADABLE),
            "a WebSocket elsewhere": (elsewhere, 404, "there is no WebSocket but"),
            "a link with a body": (LINK.replace(HOST, HOST + b"Content-Length: 3\r\n") + b"abc", 400, "without a body"),
            "a link by POST": (LINK.replace(b"GET", b"POST"), 400, "asked for with GET"),
        },
    )
    assert caplog.messages == []


def frame(first: int, second: int, rest: bytes = b"") -> bytes:
    return bytes((first, second)) + rest


def hello(number: int) -> bytes:
    return encode(Opcode.BINARY, line("hello", Hello(link=f"link-{number}")), MASK)


PROTOCOL_ERROR, TOO_BIG = 1002, 1009


@pytest.mark.parametrize("greets", [False, True], ids=["at once", "after the hello"])
async def test_frames_that_the_protocol_forbids_end_their_link_alone(house: House, greets: bool) -> None:
    over = FRAME_LIMIT_BYTES + 1
    half = over // 2 + 1
    cases = {
        "a length without end": (frame(0x82, 0xFF, struct.pack("!Q", 2**63) + MASK), TOO_BIG),
        "a message over the limit": (frame(0x82, 0xFF, struct.pack("!Q", over) + MASK), TOO_BIG),
        "fragments over the limit": (
            frame(0x02, 0xFF, struct.pack("!Q", half) + MASK + b"x" * half) + frame(0x00, 0xFF, struct.pack("!Q", half) + MASK),
            TOO_BIG,
        ),
        "a message of nothing without end": (frame(0x02, 0x80, MASK) + frame(0x00, 0x80, MASK) * 70_000, TOO_BIG),
        "no mask": (encode(Opcode.BINARY, b"beat {}\n"), PROTOCOL_ERROR),
        "a reserved bit": (frame(0xA2, 0x80, MASK), PROTOCOL_ERROR),
        "compressed": (frame(0xC2, 0x80, MASK), PROTOCOL_ERROR),
        "an unknown kind": (frame(0x83, 0x80, MASK), PROTOCOL_ERROR),
        "a ping in pieces": (frame(0x09, 0x80, MASK), PROTOCOL_ERROR),
        "a ping too long": (frame(0x89, 0xFE, struct.pack("!H", 126) + MASK), PROTOCOL_ERROR),
        "the middle of nothing": (frame(0x80, 0x80, MASK), PROTOCOL_ERROR),
        "a beginning inside": (frame(0x02, 0x81, MASK + b"x") * 2, PROTOCOL_ERROR),
    }  # fmt: skip

    async def one(number: int, data: bytes) -> int:
        async with raw(port, LINK) as (reader, writer):
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
            writer.write((hello(number) if greets else b"") + data)
            with suppress(ConnectionError):
                return await close_code(reader)
        return 0

    async with served(house, Settings()) as port, asyncio.timeout(30):
        sent = [one(number, data) for number, (data, _) in enumerate(cases.values())]
        codes = dict(zip(cases, await asyncio.gather(*sent), strict=True))
        assert codes == {name: code for name, (_, code) in cases.items()}
        async with raw(port, get(b"/healthz")) as (reader, _):
            assert (await read_answer(reader))[0] == 200


async def close_code(reader: asyncio.StreamReader) -> int:
    """The code of the close frame that comes after whatever else; the other side's frames are not masked."""
    while True:
        first, size = await reader.readexactly(2)
        if size == 126:
            size = int.from_bytes(await reader.readexactly(2), "big")
        payload = await reader.readexactly(size)
        if first & 0x0F == Opcode.CLOSE:
            return int.from_bytes(payload[:2], "big")
