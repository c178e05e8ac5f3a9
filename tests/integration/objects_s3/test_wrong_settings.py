"""A wrong setting is found with the first request, and said without its secrets."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from plugmesh.errors import ConfigurationError, NotReachable
from plugmesh.objects.s3.store import S3Store, open_s3
from plugmesh.runtime import SystemRuntime


def refused(url: str, says: str) -> None:
    """Every first request says it, and so does `check`."""
    for ask in (S3Store.check, lambda store: store.read("k"), put):
        with pytest.raises(ConfigurationError, match=says) as raised:
            ask(open_s3(url, SystemRuntime()))
        assert "the setting objects" in str(raised.value)
        assert "hush" not in str(raised.value)
        assert "plugmesh-tests" not in str(raised.value)


def put(store: S3Store) -> None:
    writer = store.create("k")
    writer.write(b"1")
    writer.commit()


def test_a_bucket_that_is_not_there(minio_url: str, versitygw_url: str) -> None:
    for url in (minio_url, versitygw_url):
        refused(url.replace("@test-", "@none-"), "NoSuchBucket")


def test_keys_that_are_not_known(minio_url: str, versitygw_url: str) -> None:
    for url in (minio_url, versitygw_url):
        bucket = url.partition("@")[2]
        refused(f"s3://somebody:hush-hush@{bucket}", "the server refuses it")
        refused(
            f"s3://{url.removeprefix('s3://').partition(':')[0]}:hush-hush@{bucket}",
            "the server refuses it",
        )


def test_an_endpoint_that_is_not_there_is_an_outage() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        url = f"s3://me:hush@bucket?patience_s=1&endpoint=http://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(NotReachable, match="the setting objects") as raised:
            open_s3(url, SystemRuntime()).check()
    assert "hush" not in str(raised.value)


def test_an_endpoint_that_speaks_no_tls(minio_url: str) -> None:
    refused(minio_url.replace("http://", "https://"), "speaks no TLS")


def test_a_server_that_is_no_s3_server() -> None:
    with web_server() as url:
        store = open_s3(f"s3://me:hush@bucket?patience_s=1&endpoint={url}", SystemRuntime())
        for ask in (store.check, lambda: list(store.list(""))):
            with pytest.raises(ConfigurationError, match=r"the setting objects.* is the endpoint right"):
                ask()


@contextmanager
def web_server() -> Iterator[str]:
    """It answers everything, and is no S3 server."""

    class Page(BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            self.send_response(200)
            self.send_header("content-length", "13")
            self.end_headers()
            self.wfile.write(b"<html><body>\n" if self.command != "HEAD" else b"")

        do_GET = do_PUT = do_HEAD = do_POST = answer

        def log_message(self, format: str, *args: object) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()
