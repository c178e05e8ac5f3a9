"""An HTTP client that costs next to nothing: one kept connection, one write a request, no library in between."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any


class Client:
    """One connection to a gateway on 127.0.0.1. Not for concurrent use."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=120)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._host = f"127.0.0.1:{port}"
        self._rest = b""

    def post(self, path: str, body: bytes) -> Any:
        """The decoded answer. Raises `RuntimeError` for a status of 400 or more."""
        return self._send("POST", path, body)

    def put(self, path: str, body: bytes) -> Any:
        """The decoded answer. Raises `RuntimeError` for a status of 400 or more."""
        return self._send("PUT", path, body)

    def get(self, path: str) -> Any:
        """The decoded answer. Raises `RuntimeError` for a status of 400 or more."""
        return self._exchange(f"GET {path} HTTP/1.1\r\nhost: {self._host}\r\n\r\n".encode())

    def delete(self, path: str) -> Any:
        """The decoded answer, if there is one. Raises `RuntimeError` for a status of 400 or more."""
        return self._exchange(f"DELETE {path} HTTP/1.1\r\nhost: {self._host}\r\n\r\n".encode())

    def upload(self, name: str, file: Path) -> Any:
        """Store a file under a name; the decoded answer. Raises `RuntimeError` for a status of 400 or more."""
        head = f"PUT /api/v1/files/{name} HTTP/1.1\r\nhost: {self._host}\r\ncontent-type: application/octet-stream\r\n"
        with file.open("rb") as content:
            self._socket.sendall(f"{head}content-length: {file.stat().st_size}\r\n\r\n".encode())
            self._socket.sendfile(content)
        return self._exchange(b"")

    def close(self) -> None:
        """End the connection."""
        self._socket.close()

    def _send(self, method: str, path: str, body: bytes) -> Any:
        head = f"{method} {path} HTTP/1.1\r\nhost: {self._host}\r\ncontent-type: application/json\r\n"
        return self._exchange(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)

    def _exchange(self, request: bytes) -> Any:
        self._socket.sendall(request)
        data = self._rest
        while (end := data.find(b"\r\n\r\n")) < 0:
            data += self._receive()
        head, data = data[:end].decode("latin-1").lower(), data[end + 4 :]
        length = int(head.partition("content-length:")[2].partition("\r\n")[0] or 0)
        while len(data) < length:
            data += self._receive()
        body, self._rest = data[:length], data[length:]
        status = int(head.split(" ", 2)[1])
        if status >= 400:
            raise RuntimeError(f"{status}: {body[:2000].decode(errors='replace')}")
        return json.loads(body) if body else None

    def _receive(self) -> bytes:
        chunk = self._socket.recv(1 << 16)
        if not chunk:
            raise ConnectionError("the gateway closed the connection")
        return chunk
