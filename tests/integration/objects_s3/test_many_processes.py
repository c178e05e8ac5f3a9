"""One cache and many processes: no byte is fetched twice on a host, the bound is kept, and whoever is killed leaves nothing
half."""

import os
import random
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import cast

from plugmesh.objects.open import open_store
from plugmesh.objects.s3.address import parse_address
from plugmesh.objects.s3.store import S3Store
from plugmesh.runtime import SystemRuntime
from tests.faults.http import HttpProxy, faulty
from tests.waiting import wait_until

ROOT = Path(__file__).resolve().parents[3]
SIZE = 1_500_000
COLUMNS = [(start, min(start + 130_000, SIZE)) for start in range(0, SIZE, 130_000)]

READER = """
import random, sys
from plugmesh.objects.open import open_store
from plugmesh.runtime import SystemRuntime
url, seed, objects, size = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
store, cut = open_store(url, SystemRuntime()), random.Random(seed)
places = [(n, start) for n in range(objects) for start in range(0, size, 130_000)]
whole = [random.Random(n).randbytes(size) for n in range(objects)]
cut.shuffle(places)
held = []
print("ready", flush=True)
sys.stdin.readline()
for n, start in places:
    end = min(start + 130_000, size)
    view = store.read(f"o/{n}", start, end - start)
    held.append((n, start, end, view))
    held = held[-5:]
    for other, first, last, seen in held:
        assert bytes(seen) == whole[other][first:last], (other, first)
print("done", flush=True)
"""


def start(url: str, seed: int, objects: int) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", READER, url, str(seed), str(objects), str(SIZE)],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


def go(processes: list[subprocess.Popen]) -> None:
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()


def end(processes: list[subprocess.Popen]) -> None:
    for process in processes:
        out, _ = process.communicate(timeout=60)
        assert process.returncode == 0
        assert "done" in out


def write(url: str, objects: int) -> None:
    store = open_store(url, SystemRuntime())
    for number in range(objects):
        writer = store.create(f"o/{number}", SIZE)
        writer.write(random.Random(number).randbytes(SIZE))
        writer.commit()


def through(url: str, endpoint: str, cache: Path, options: str = "") -> str:
    return f"{url.partition('?')[0]}?endpoint={endpoint}&cache={cache}{options}"


def files(cache: Path) -> list[Path]:
    return [path for folder in ("entries", "unfinished") for path in (cache / folder).rglob("*") if path.is_file()]


def test_no_byte_is_fetched_twice_on_a_host(minio_url: str, tmp_path: Path) -> None:
    write(minio_url, 3)
    with faulty(parse_address(minio_url).endpoint, 1) as (endpoint, own):
        processes = [start(through(minio_url, own, tmp_path / "cache"), seed, 3) for seed in range(4)]
        go(processes)
        end(processes)
        assert endpoint.bytes_sent == 3 * SIZE


def test_what_was_written_on_this_host_is_not_fetched(minio_url: str, tmp_path: Path) -> None:
    with faulty(parse_address(minio_url).endpoint, 1) as (endpoint, own):
        write(through(minio_url, own, tmp_path / "cache"), 2)
        processes = [start(through(minio_url, own, tmp_path / "cache"), seed, 2) for seed in range(2)]
        go(processes)
        end(processes)
        assert endpoint.of("GET") == 0


def test_the_bound_is_kept_and_what_is_open_stays(minio_url: str, tmp_path: Path) -> None:
    write(minio_url, 4)
    bound, cache = 2 * SIZE, tmp_path / "cache"
    url = f"{minio_url}&cache={cache}&cache_bytes={bound}"
    processes = [start(url, seed, 4) for seed in range(3)]
    go(processes)
    most = 0
    while any(process.poll() is None for process in processes[:1]):
        most = max(most, sizes(cache))
        time.sleep(0.005)
    end(processes)
    assert 0 < max(most, sizes(cache)) <= bound


def sizes(cache: Path) -> int:
    total = 0
    for path in files(cache):
        try:
            total += path.stat().st_size
        except FileNotFoundError:
            continue
    return total


def has_begun(endpoint: HttpProxy, seen: int, process: subprocess.Popen) -> bool:
    return endpoint.of("GET") > seen + 1 or process.poll() is not None


async def test_who_is_killed_while_it_fetches_leaves_nothing_half(minio_url: str, tmp_path: Path) -> None:
    write(minio_url, 4)
    cache = tmp_path / "cache"
    with faulty(parse_address(minio_url).endpoint, 1) as (endpoint, own):
        url = through(minio_url, own, cache)
        for seed in range(3):
            process = start(url, seed, 3)
            seen = endpoint.of("GET")
            go([process])
            await wait_until(partial(has_begun, endpoint, seen, process))
            process.send_signal(signal.SIGKILL)
            process.communicate()
        (cache / "unfinished" / "1-0").write_bytes(bytes(1000))  # as a writer leaves it that was killed
        last = start(url, 9, 3)
        go([last])
        end([last])
        for path in (path for path in (cache / "entries").rglob("*") if path.is_file()):
            first, past, total = map(int, path.name.split("-"))
            assert (path.stat().st_size, total) == (past - first, SIZE)
        store = open_store(f"{url}&cache_bytes={SIZE}", SystemRuntime())
        descriptor = cast("S3Store", store).descriptor("o/3")  # nothing else has room beside it
        assert descriptor is not None
        os.close(descriptor)
    assert [path.stat().st_size for path in files(cache)] == [SIZE]
