"""Processes that write, read and delete in a shared store until they are killed: `torture.py FOLDER SEED KILLS CHECKED`.

An object's key says its hash and length. What was read is held for a while, and checked again before it is let go.
Exit code 3: bytes were wrong.
"""

import os
import random
import signal
import sys
import time
from collections import deque
from contextlib import suppress
from pathlib import Path

import xxhash

from plugmesh.errors import Conflict, ObjectMissing
from plugmesh.objects.local import LocalStore

WRONG = 3
_KIB = 1024
_SIZES = (1100 * _KIB, 1300 * _KIB, 2100 * _KIB)
_PIECE = 256 * _KIB
_MOST_OBJECTS = 12
_PROCESSES = 3


def key_of(data: bytes, word: str) -> str:
    """A key that says what is under it."""
    return f"t/{word}/{xxhash.xxh3_128_hexdigest(data)}-{len(data)}"


def is_right(key: str, data: memoryview) -> bool:
    """Whether these are the bytes that the key speaks of."""
    digest, _, size = key.rpartition("/")[2].partition("-")
    return len(data) == int(size) and xxhash.xxh3_128_hexdigest(data) == digest


class Torture:
    """One process's work."""

    def __init__(self, folder: Path, seed: int, told: int) -> None:
        self.random, self.told = random.Random(seed), told
        self.store = LocalStore(folder, keep_free_bytes=0, pool_bytes=12 * _KIB * _KIB)
        self.held: deque[tuple[str, memoryview]] = deque()

    def write(self) -> None:
        size = self.random.choice(_SIZES) + self.random.randrange(5_000)
        block = self.random.randbytes(_PIECE)
        data = (block * (size // _PIECE + 1))[:size]
        writer = self.store.create(key_of(data, str(os.getpid())), size if self.random.random() < 0.9 else None)
        for start in range(0, size, _PIECE):
            writer.write(data[start : start + _PIECE])
            if self.random.random() < 0.01:
                return writer.abort()
        writer.commit()
        return None

    def read(self, keys: list[str]) -> None:
        key = self.random.choice(keys)
        data = self.store.read(key)
        self.check(key, data)
        self.held.append((key, data))
        if len(self.held) > self.random.randrange(6):
            self.check(*self.held.popleft())

    def check(self, key: str, data: memoryview) -> None:
        if not is_right(key, data):
            os.write(2, f"wrong bytes in {key}\n".encode())
            os._exit(WRONG)
        os.write(self.told, b".")

    def turn(self) -> None:
        keys = [item.key for item in self.store.list("t/")]
        choice = self.random.random()
        try:
            if len(keys) > _MOST_OBJECTS or (keys and choice < 0.3):
                self.store.delete(self.random.choice(keys))
            elif keys and choice < 0.65:
                self.read(keys)
            elif choice < 0.98:
                self.write()
            else:
                self.store.remove_abandoned()
        except (ObjectMissing, Conflict):  # deleted by another meanwhile; written twice by one seed
            pass


class Mill:
    """Forks processes that torture a store, kills them at any moment, and hears what they have checked."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder, self.random = folder, random.Random(seed)
        self.heard, self.told = os.pipe()
        os.set_blocking(self.heard, False)
        self.checked = self.kills = 0
        self.running = [self.start() for _ in range(_PROCESSES)]

    def start(self) -> int:
        seed = self.random.randrange(2**32)
        pid = os.fork()
        if pid == 0:
            torture = Torture(self.folder, seed, self.told)
            while True:
                torture.turn()
        return pid

    def grind(self, kills: int, checked: int) -> int:
        """Until so many were killed and so many reads checked; the exit code."""
        while self.kills < kills or self.checked < checked:
            time.sleep(self.random.uniform(0.01, 0.15))
            victim = self.running.pop(self.random.randrange(_PROCESSES))
            os.kill(victim, signal.SIGKILL)
            if (ended := os.waitstatus_to_exitcode(os.waitpid(victim, 0)[1])) != -signal.SIGKILL:
                return ended
            self.kills += 1
            self.running.append(self.start())
            with suppress(BlockingIOError):
                self.checked += len(os.read(self.heard, 1 << 20))
        return 0

    def stop(self) -> None:
        for pid in self.running:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


if __name__ == "__main__":
    mill = Mill(Path(sys.argv[1]), int(sys.argv[2]))
    code = mill.grind(int(sys.argv[3]), int(sys.argv[4]))
    mill.stop()
    print(f"{mill.kills} kills, {mill.checked} reads checked")
    sys.exit(code)
