"""Many connections of one thread, each with one request under way: a burst whose clients cost next to nothing."""

from __future__ import annotations

import select
import socket


class Crowd:
    """Connections to a gateway on 127.0.0.1. Each sends its next request when it has the answer to the one before."""

    def __init__(self, port: int, connections: int) -> None:
        self._host = f"127.0.0.1:{port}"
        self._sockets = [socket.create_connection(("127.0.0.1", port), timeout=120) for _ in range(connections)]
        for each in self._sockets:
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def post(self, path: str, body: bytes, count: int) -> None:
        """The same request `count` times. Raises `RuntimeError` for a status of 400 or more."""
        head = f"POST {path} HTTP/1.1\r\nhost: {self._host}\r\ncontent-type: application/json\r\n"
        request = f"{head}content-length: {len(body)}\r\n\r\n".encode() + body
        by_number = {each.fileno(): each for each in self._sockets}
        answers = dict.fromkeys(by_number, b"")
        waiting, left = select.epoll(), count
        for number, each in by_number.items():
            waiting.register(number, select.EPOLLIN)
            if left:
                each.sendall(request)
                left -= 1
        answered = 0
        while answered < count:
            for number, _ in waiting.poll(120):
                answers[number] += _received(by_number[number])
                if _whole(answers[number]):
                    answers[number] = b""
                    answered += 1
                    if left:
                        by_number[number].sendall(request)
                        left -= 1
        waiting.close()

    def close(self) -> None:
        """End the connections."""
        for each in self._sockets:
            each.close()


def _received(connection: socket.socket) -> bytes:
    chunk = connection.recv(1 << 16)
    if not chunk:
        raise ConnectionError("the gateway closed the connection")
    return chunk


def _whole(answer: bytes) -> bool:
    end = answer.find(b"\r\n\r\n")
    if end < 0:
        return False
    head = answer[:end].lower()
    length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)
    if len(answer) < end + 4 + length:
        return False
    if int(head.split(b" ", 2)[1]) >= 400:
        raise RuntimeError(answer[:2000].decode(errors="replace"))
    return True
