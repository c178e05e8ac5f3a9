"""What the gateway's driver does when connections are cut, answers are lost and tickets replaced: the same bytes arrive."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from plugmesh.errors import Conflict, NotReachable, ObjectCorrupt, Unauthorized
from plugmesh.objects.gateway import GatewayStore, open_gateway
from plugmesh.objects.gateway_client import GatewayClient
from plugmesh.objects.open import open_store
from plugmesh.objects.paths import OBJECTS_PATH, with_token_file
from plugmesh.objects.reach import KEPT_S, put_marker, reachable_objects
from plugmesh.runtime import SystemRuntime

DATA = os.urandom(3_000_000)
RUNTIME = SystemRuntime()
Plan = Callable[["Handler"], None]


class Server(ThreadingHTTPServer):
    """A gateway that does with each request what the next plan says, and the right thing when there is none left."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.plans: list[Plan] = []
        self.objects: dict[str, bytes] = {}
        self.seen: list[tuple[str, str | None]] = []

    @property
    def url(self) -> str:
        return f"gateway+http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server: Server

    def log_message(self, format: str, *arguments: Any) -> None:
        """Nothing is logged."""

    def begin(self) -> None:
        self.server.seen.append((self.command, self.headers["authorization"]))
        plan = self.server.plans.pop(0) if self.server.plans else Handler.work
        with suppress(ConnectionError):
            plan(self)

    do_GET = do_PUT = do_HEAD = do_DELETE = begin

    def work(self) -> None:
        key = self.path.removeprefix(OBJECTS_PATH + "/")
        if self.command == "PUT":
            body = self.rfile.read(int(self.headers["content-length"]))
            if key in self.server.objects:
                return self.answer(409, b'{"detail": "it is there", "code": "conflict"}')
            self.server.objects[key] = body
            return self.answer(201, b'{"key": "%s", "bytes": %d, "modified": 1.0}' % (key.encode(), len(body)))
        start, end = self.span(len(self.server.objects[key]))
        return self.answer(206, self.server.objects[key][start:end])

    def span(self, size: int) -> tuple[int, int]:
        asked = self.headers.get("range")
        if asked is None:
            return 0, size
        first, last = asked.removeprefix("bytes=").split("-")
        return int(first), min(size, int(last) + 1)

    def answer(self, status: int, body: bytes, sent: int | None = None) -> None:
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[:sent])

    def cut(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)


def cut_at_once(handler: Handler) -> None:
    handler.cut()


def cut_in_the_middle(handler: Handler) -> None:
    start, end = handler.span(len(DATA))
    handler.answer(206, DATA[start:end], sent=(end - start) // 2)
    handler.cut()


def lose_the_answer(handler: Handler) -> None:
    key = handler.path.removeprefix(OBJECTS_PATH + "/")
    handler.server.objects[key] = handler.rfile.read(int(handler.headers["content-length"]))
    handler.cut()


def read_half_of_the_body(handler: Handler) -> None:
    handler.rfile.read(int(handler.headers["content-length"]) // 2)
    handler.cut()


def be_busy(handler: Handler) -> None:
    handler.close_connection = True
    handler.answer(503, b'{"detail": "not now", "code": "stopping"}')


def refuse(handler: Handler) -> None:
    handler.close_connection = True
    handler.answer(401, b'{"detail": "who is that", "code": "unauthenticated"}')


def list_pieces(handler: Handler, *, whole: bool) -> None:
    lines = [b'{"key": "data/%d", "bytes": 1, "modified": 1.0}\n' % number for number in range(3)]
    handler.send_response(200)
    handler.send_header("transfer-encoding", "chunked")
    handler.end_headers()
    for line in lines if whole else lines[:2]:
        handler.wfile.write(b"%x\r\n%b\r\n" % (len(line), line))
    if whole:
        handler.wfile.write(b"0\r\n\r\n")
    else:
        handler.cut()


@contextmanager
def running() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def server() -> Iterator[Server]:
    with running() as server:
        yield server


@pytest.fixture
def store(server: Server) -> Iterator[GatewayStore]:
    store = open_gateway(server.url, RUNTIME)
    yield store
    store.close()


def put(store: GatewayStore, data: bytes = DATA) -> None:
    writer = store.create("data/k", len(data))
    writer.write(data)
    assert writer.commit().bytes == len(data)


def test_a_read_goes_on_where_it_was_cut(server: Server, store: GatewayStore) -> None:
    server.objects["data/k"] = DATA
    server.plans = [cut_in_the_middle, cut_at_once, be_busy, cut_in_the_middle]
    assert store.read("data/k", 0, len(DATA)) == DATA
    assert len(server.seen) == 5


def test_a_write_is_sent_again_until_it_is_there(server: Server, store: GatewayStore) -> None:
    server.plans = [read_half_of_the_body, cut_at_once, be_busy]
    put(store)
    assert server.objects["data/k"] == DATA


@pytest.mark.parametrize("size", [0, 10, len(DATA)])
def test_a_write_whose_answer_was_lost_is_no_conflict_with_itself(
    server: Server, store: GatewayStore, size: int
) -> None:
    server.plans = [lose_the_answer]
    put(store, DATA[:size])
    with pytest.raises(Conflict):
        put(store, DATA[:size])


def test_a_listing_that_broke_off_between_two_lines_is_asked_for_again(server: Server, store: GatewayStore) -> None:
    server.plans = [partial(list_pieces, whole=False), partial(list_pieces, whole=True)]
    assert [one.key for one in store.list("data/")] == ["data/0", "data/1", "data/2"]
    assert len(server.seen) == 2


def test_other_bytes_under_the_key_are_a_conflict_even_then(server: Server, store: GatewayStore) -> None:
    server.objects["data/k"] = DATA[::-1]
    server.plans = [cut_at_once]
    with pytest.raises(Conflict):
        put(store)


def test_less_than_was_asked_for_is_told_at_once(server: Server, store: GatewayStore) -> None:
    server.objects["data/k"] = DATA[:10]
    with pytest.raises(ObjectCorrupt, match="data/k"):
        store.read("data/k", 5, 10)
    assert len(server.seen) == 1


def test_a_ticket_that_was_replaced_is_read_again(server: Server, tmp_path: Path) -> None:
    file = tmp_path / "ticket"
    file.write_text("first" * 8)
    file.chmod(0o600)
    server.objects["data/k"] = DATA

    def replace(handler: Handler) -> None:
        file.write_text("second" * 8)
        refuse(handler)

    server.plans = [replace]
    store = open_gateway(with_token_file(server.url, file), RUNTIME)
    assert store.read("data/k", 0, 5) == DATA[:5]
    assert [shown for _, shown in server.seen] == ["Bearer " + "first" * 8, "Bearer " + "second" * 8]
    store.close()


def test_patience_ends(server: Server) -> None:
    client = GatewayClient(server.url.removeprefix("gateway+"), str, patience_s=0.0)
    store = GatewayStore(client, RUNTIME)
    for plan, error in ((be_busy, NotReachable), (refuse, Unauthorized), (cut_at_once, NotReachable)):
        server.plans = [plan] * 3
        with pytest.raises(error, match=server.url.removeprefix("gateway+")):
            store.read("data/k", 0, 1)
        server.plans = []


def test_markers_of_long_ago_are_removed(tmp_path: Path) -> None:
    store = open_store(tmp_path.as_uri(), RUNTIME)
    old = put_marker(store, RUNTIME)
    long_ago = time.time() - KEPT_S - 60
    os.utime(tmp_path / "objects" / old, (long_ago, long_ago))
    marker = put_marker(store, RUNTIME)
    assert [item.key for item in store.list("mesh/marker/")] == [marker]


def test_a_folder_counts_as_ones_own_only_with_the_marker_of_now(tmp_path: Path) -> None:
    mine, copied = tmp_path / "mine", tmp_path / "copied"
    url, store, other = mine.as_uri(), open_store(mine.as_uri(), RUNTIME), open_store(copied.as_uri(), RUNTIME)
    put_marker(other, RUNTIME)
    beside, marker = put_marker(store, RUNTIME), put_marker(store, RUNTIME)
    far = "gateway+http://mesh:1"
    assert reachable_objects(url, marker, "http://mesh:1/") == url
    assert reachable_objects(url, beside, "http://mesh:1") == url, "that of another server on the same folder"
    assert reachable_objects(copied.as_uri(), marker, "http://mesh:1") == far
    assert reachable_objects((tmp_path / "nothing").as_uri(), marker, "http://mesh:1") == far
    assert reachable_objects(url, "", "http://mesh:1") == url, "a server of before says nothing"
    assert reachable_objects("s3://bucket", "", "http://mesh:1") == "s3://bucket"
    assert reachable_objects(url, "mesh/marker/here-never-put", "http://mesh:1") == far
    writer = other.create(marker)
    writer.write(b"the id of another machine's boot")
    writer.commit()
    assert reachable_objects(copied.as_uri(), marker, "http://mesh:1") == far
