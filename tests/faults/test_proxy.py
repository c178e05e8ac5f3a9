"""The fault proxy itself, before servers of the test's own."""

from __future__ import annotations

import http.client
import socket
import struct
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.faults.http import faulty
from tests.faults.proxy import FaultProxy
from tests.faults.wires import CommitWire, KafkaWire

DATA = b"x" * 10_000


@pytest.fixture
def echo() -> Iterator[tuple[str, int]]:
    """A server that says everything again."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve(one: socket.socket) -> None:
            with one:
                while data := one.recv(65_536):
                    one.sendall(data)

        def accept() -> None:
            while True:
                try:
                    one, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=serve, args=(one,), daemon=True).start()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield listener.getsockname()
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def dial(proxy: FaultProxy) -> socket.socket:
    return socket.create_connection((proxy.host, proxy.port), timeout=5)


def said(one: socket.socket, data: bytes) -> bytes:
    """What comes back of it; nothing, if the connection has ended."""
    one.sendall(data)
    found = b""
    try:
        while len(found) < len(data) and (piece := one.recv(65_536)):
            found += piece
    except ConnectionError:
        return found
    return found


def test_what_is_sent_passes_both_ways(echo: tuple[str, int]) -> None:
    with FaultProxy(echo) as proxy, dial(proxy) as one:
        assert said(one, DATA) == DATA
        assert proxy.connections == 1


def test_connections_are_cut_and_new_ones_refused_until_it_listens_again(echo: tuple[str, int]) -> None:
    with FaultProxy(echo) as proxy, dial(proxy) as one:
        assert said(one, b"1") == b"1"
        assert proxy.refuse() == 1
        assert said(one, b"2") == b""
        with pytest.raises(ConnectionRefusedError):
            dial(proxy)
        proxy.listen()
        with dial(proxy) as other:
            assert said(other, b"3") == b"3"


def test_what_is_held_back_arrives_later_and_what_is_swallowed_never(echo: tuple[str, int]) -> None:
    with FaultProxy(echo) as proxy, dial(proxy) as one:
        proxy.freeze()
        one.sendall(b"held")
        one.settimeout(0.2)
        with pytest.raises(TimeoutError):
            one.recv(10)
        assert proxy.met["frozen"] == 1
        proxy.thaw()
        one.settimeout(5)
        assert one.recv(10) == b"held"
        for way in ("forth", "back"):
            proxy.swallow(way)
            one.settimeout(0.2)
            one.sendall(b"lost")
            with pytest.raises(TimeoutError):
                one.recv(10)
        assert proxy.met["swallowed"] == 2
        proxy.heal()
        with dial(proxy) as other:
            assert said(other, b"well") == b"well"


def test_of_what_is_truncated_half_arrives_and_the_connection_ends(echo: tuple[str, int]) -> None:
    with FaultProxy(echo) as proxy, dial(proxy) as one:
        proxy.next = ["truncate"]
        assert said(one, b"abcd") == b"ab"


def test_a_commit_or_its_answer_is_lost(echo: tuple[str, int]) -> None:
    with FaultProxy(echo, CommitWire) as proxy:
        for fault in ("commit", "answer"):
            proxy.next = [fault]
            with dial(proxy) as one:
                assert said(one, b"BEGIN; read COMMITTED") == b"BEGIN; read COMMITTED"
                assert said(one, b"COMMIT") == b""
        assert proxy.met == {"commit": 1, "answer": 1}


def test_the_address_of_a_broker_becomes_that_of_the_proxy_in_whatever_pieces_it_comes(echo: tuple[str, int]) -> None:
    def frame(host: str, port: int) -> bytes:
        told = b"some" + struct.pack(">h", len(host)) + host.encode() + struct.pack(">i", port) + b"more"
        return struct.pack(">i", len(told)) + told

    with FaultProxy(echo, KafkaWire) as proxy, dial(proxy) as one:
        sent, wanted = frame(*echo), frame(proxy.host, proxy.port)
        for piece in (sent[:3], sent[3:9], sent[9:] + sent):
            one.sendall(piece)
        found = b""
        while len(found) < 2 * len(wanted):
            found += one.recv(65_536)
        assert found == wanted * 2


class Page(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    written: list[bytes]

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-length", str(len(DATA)))
        self.end_headers()
        self.wfile.write(DATA)

    def do_PUT(self) -> None:
        self.written.append(self.rfile.read(int(self.headers["content-length"])))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        return


@pytest.fixture
def web() -> Iterator[tuple[str, list[bytes]]]:
    written: list[bytes] = []
    with ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (Page,), {"written": written})) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", written
        server.shutdown()
        thread.join()


def asked(url: str, method: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=5)
    try:
        connection.request(method, "/k", body=b"data" if method == "PUT" else None)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def test_requests_meet_faults_of_their_kind(web: tuple[str, list[bytes]]) -> None:
    upstream, written = web
    with faulty(upstream, 1) as (proxy, url):
        assert asked(url, "GET") == (200, DATA)
        proxy.next = ["503", "truncate", "lost", "close"]
        assert asked(url, "GET")[0] == 503
        with pytest.raises(http.client.IncompleteRead):
            asked(url, "GET")
        assert asked(url, "PUT")[0] == 200
        assert written == []
        with pytest.raises((http.client.RemoteDisconnected, ConnectionError)):
            asked(url, "PUT")
        assert written == [b"data"]
        assert (proxy.of("GET"), proxy.of("PUT")) == (3, 2)


def test_the_same_seed_gives_the_same_faults(web: tuple[str, list[bytes]]) -> None:
    def statuses(seed: int) -> list[int]:
        with faulty(web[0], seed, http503=0.5) as (_, url):
            return [asked(url, "GET")[0] for _ in range(20)]

    assert statuses(7) == statuses(7)
    assert set(statuses(7)) == {200, 503}


def test_whoever_dialled_just_before_the_end_is_hung_up_on(echo: tuple[str, int]) -> None:
    for _ in range(200):
        with FaultProxy(echo) as proxy:
            one = dial(proxy)
        with one:
            try:
                assert one.recv(1) == b""
            except ConnectionError:
                continue
