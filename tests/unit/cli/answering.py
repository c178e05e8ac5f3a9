"""A mesh that answers what it was told to, for commands."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from typer.testing import CliRunner, Result

from plugmesh.cli.app import whole_app

JSON = "application/json"


class Mesh:
    """Answers what it was told to, and remembers what it was asked.

    `answers` are JSON documents or bytes by method and path, `statuses` those that are not 200. `asked` are the method,
    the path with its query, and the JSON document of each request; `sent` the kind and the bytes of what came last.
    """

    def __init__(self) -> None:
        self.answers: dict[str, Any] = {}
        self.statuses: dict[str, int] = {}
        self.asked: list[tuple[str, str, Any]] = []
        self.sent: dict[str, tuple[str, bytes]] = {}
        self.url = ""

    def cli(self, *arguments: str, code: int = 0, input: str | None = None, **env: str) -> Result:
        runner = CliRunner(env={"PLUGMESH_URL": self.url, "VISUAL": "", **env})
        done = runner.invoke(whole_app(), arguments, prog_name="plugmesh", input=input)
        assert done.exit_code == code, f"{done.exit_code} {done.exception!r}\n{done.stdout}{done.stderr}"
        return done

    def answer(self, method: str, path: str, kind: str, body: bytes) -> tuple[int, bytes]:
        """The status and the bytes."""
        bare = path.partition("?")[0]
        place = f"{method} {bare}"
        self.asked.append((method, path, json.loads(body) if body and kind == JSON else None))
        self.sent[place] = (kind, body)
        if place not in self.answers:
            return 404, json.dumps({"code": "not-found", "detail": f"no {bare}"}).encode()
        document = self.answers[place]
        return self.statuses.get(place, 200), document if isinstance(document, bytes) else json.dumps(document).encode()


@contextmanager
def answering() -> Iterator[Mesh]:
    """A mesh at its `url`."""
    mesh = Mesh()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            path = self.path.removeprefix("/api/v1")
            status, data = mesh.answer(self.command, path, self.headers.get("content-type", ""), body)
            self.send_response(status)
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = answer

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    mesh.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield mesh
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
