"""What the machine itself costs, so that every other figure can be read as a ratio."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import tempfile
import time
from multiprocessing import Pipe, Process
from multiprocessing.connection import Connection
from pathlib import Path

import websockets
from websockets.asyncio.server import ServerConnection

from benchmarks.figures import Figure, figure, percentile

_LINE = b"x" * 600


def measure(*, quick: bool) -> list[Figure]:
    """Pipe echo, WebSocket echo, SQLite commit and fdatasync."""
    rounds = 300 if quick else 1000
    with tempfile.TemporaryDirectory(prefix="plugmesh-floor-") as name:
        syncs = fdatasyncs_ms(Path(name), 150)
        commits = sqlite_commits_ms(Path(name), rounds, "FULL")
    return [
        figure("floor", "fdatasync-16k", "p50", "ms", [percentile(syncs, 0.5)]),
        figure("floor", "fdatasync-16k", "p95", "ms", [percentile(syncs, 0.95)]),
        figure("floor", "sqlite-commit-full", "p50", "ms", [percentile(commits, 0.5)]),
        figure("floor", "pipe-echo", "p50", "ms", [percentile(pipe_echoes_ms(rounds), 0.5)]),
        figure("floor", "websocket-echo", "p50", "ms", [percentile(asyncio.run(websocket_echoes_ms(rounds)), 0.5)]),
    ]


def fdatasyncs_ms(folder: Path, rounds: int) -> list[float]:
    """Writes of 16 KiB, each followed by fdatasync, over a file that has its size already (like SQLite's log)."""
    page = os.urandom(16 * 1024)
    times = []
    with (folder / "sync").open("wb", buffering=0) as file:
        file.write(page * rounds)
        os.fsync(file.fileno())
        for number in range(rounds):
            begin = time.perf_counter()
            os.pwrite(file.fileno(), page, number * len(page))
            os.fdatasync(file.fileno())
            times.append((time.perf_counter() - begin) * 1e3)
    return times


def sqlite_commits_ms(folder: Path, rounds: int, synchronous: str) -> list[float]:
    """Commits of one row of 600 bytes."""
    connection = sqlite3.connect(folder / "floor.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute(f"PRAGMA synchronous={synchronous}")
    connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, body BLOB)")
    times = []
    for _ in range(rounds):
        begin = time.perf_counter()
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("INSERT INTO t (body) VALUES (?)", (_LINE,))
        connection.execute("COMMIT")
        times.append((time.perf_counter() - begin) * 1e3)
    connection.close()
    return times


def pipe_echoes_ms(rounds: int) -> list[float]:
    """One message to another process and back, over a multiprocessing pipe."""
    here, there = Pipe()
    process = Process(target=_echo, args=(there,), daemon=True)
    process.start()
    times = []
    for _ in range(rounds):
        begin = time.perf_counter()
        here.send_bytes(_LINE)
        here.recv_bytes()
        times.append((time.perf_counter() - begin) * 1e3)
    here.send_bytes(b"")
    process.join()
    return times


def _echo(pipe: Connection) -> None:
    while message := pipe.recv_bytes():
        pipe.send_bytes(message)


async def websocket_echoes_ms(rounds: int) -> list[float]:
    """One message to a WebSocket server in another process and back."""
    here, there = Pipe()
    process = Process(target=_serve_echo, args=(there,), daemon=True)
    process.start()
    port = here.recv()
    times = []
    async with websockets.connect(f"ws://127.0.0.1:{port}", compression=None) as link:
        for _ in range(rounds):
            begin = time.perf_counter()
            await link.send(_LINE)
            await link.recv()
            times.append((time.perf_counter() - begin) * 1e3)
    process.terminate()
    process.join()
    return times


def _serve_echo(pipe: Connection) -> None:
    async def echo(link: ServerConnection) -> None:
        async for message in link:
            await link.send(message)

    async def serve() -> None:
        async with websockets.serve(echo, "127.0.0.1", 0, compression=None) as server:
            pipe.send(next(iter(server.sockets)).getsockname()[1])
            await asyncio.Event().wait()

    asyncio.run(serve())
