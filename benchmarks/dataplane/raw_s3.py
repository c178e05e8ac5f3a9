"""W4 as one would do it by hand over an S3 server: the `minio` client, Arrow streams of columns, ranges of what is read. The
same bytes as the mesh moves, in the same encoding, in one process that does nothing else.

python -m benchmarks.dataplane.raw_s3 URL ROWS ROUNDS [COMPRESSION] prints as JSON the seconds of each round, by what they were
for; `cpu` is this process's CPU time.
"""

from __future__ import annotations

import gc
import json
import sys
import time
from collections import defaultdict
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit

import pyarrow as pa
import pyarrow.compute as pc
from minio import Minio

from benchmarks.dataplane import chain_table

_ONE_PART = 5 * 1024**3
"""So large that an object is sent in one request, which is the fastest this client and MinIO do."""


class Place(NamedTuple):
    """Where a column is."""

    key: str
    offset: int
    length: int


class ByHand:
    """The chain; `took` is the seconds by what they were spent on."""

    def __init__(self, url: str, compression: str | None) -> None:
        parts, options = urlsplit(url), parse_qs(urlsplit(url).query)
        access, _, secret = parts.netloc.rpartition("@")[0].partition(":")
        endpoint = urlsplit(options["endpoint"][0])
        self._client = Minio(endpoint.netloc, access, secret, secure=endpoint.scheme == "https", region="us-east-1")
        self._bucket = parts.netloc.rpartition("@")[2]
        self._options = pa.ipc.IpcWriteOptions(compression=compression)
        self.took: defaultdict[str, float] = defaultdict(float)
        self.ended = 0.0

    def chain(self, table: pa.Table, name: str) -> float:
        """Store the table, do the five steps, each of which reads two columns and stores one; the sum of the last column."""
        places = self._put(f"{name}/source", table)
        for step in range(chain_table.STEPS):
            on = chain_table.columns(step)
            given = pa.table({column: self._get(places[column]) for column in (on.a, on.b)})
            begin = time.perf_counter()
            made = chain_table.step_on(given, on).select([on.into])
            self.took["compute"] += time.perf_counter() - begin
            places |= self._put(f"{name}/{step}", made)
        self.ended = time.perf_counter()
        return float(pc.sum(self._get(places[chain_table.LAST])).as_py())

    def remove(self, name: str) -> None:
        """Delete what a chain stored."""
        for found in self._client.list_objects(self._bucket, f"{name}/", recursive=True):
            self._client.remove_object(self._bucket, str(found.object_name))

    def _put(self, key: str, table: pa.Table) -> dict[str, Place]:
        begin = time.perf_counter()
        sink = pa.BufferOutputStream()
        places = {}
        for field in table.schema:
            start = sink.tell()
            with pa.ipc.new_stream(sink, pa.schema([field]), options=self._options) as writer:
                writer.write_table(table.select([field.name]))
            places[field.name] = Place(key, start, sink.tell() - start)
        data = sink.getvalue()
        encoded = time.perf_counter()
        self._client.put_object(self._bucket, key, pa.BufferReader(data), len(data), part_size=_ONE_PART)
        self.took["encode"] += encoded - begin
        self.took["put"] += time.perf_counter() - encoded
        return places

    def _get(self, place: Place) -> pa.ChunkedArray:
        begin = time.perf_counter()
        answer = self._client.get_object(self._bucket, place.key, place.offset, place.length)
        data = answer.read()
        answer.close()
        answer.release_conn()
        fetched = time.perf_counter()
        column = pa.ipc.open_stream(pa.py_buffer(data)).read_all().column(0)
        self.took["get"] += fetched - begin
        self.took["decode"] += time.perf_counter() - fetched
        return column


def main() -> None:
    """Measure; one round before the others warms up."""
    url, rows, rounds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    by_hand = ByHand(url, sys.argv[4] if len(sys.argv) > 4 else None)
    table = chain_table.make(rows)
    sums = [float(pc.sum(table[f"f{index}"]).as_py()) for index in range(3)]
    found: dict[str, list[float]] = {}
    for number in range(rounds + 1):
        gc.collect()
        by_hand.took.clear()
        begin, cpu = time.perf_counter(), time.process_time()
        chain_table.check(by_hand.chain(table, f"raw-{number}"), sums)
        by_hand.took["wall"] = by_hand.ended - begin
        by_hand.took["cpu"] = time.process_time() - cpu
        by_hand.remove(f"raw-{number}")
        for what, seconds in by_hand.took.items():
            found.setdefault(what, []).append(seconds)
    print(json.dumps({what: seconds[1:] for what, seconds in found.items()}))


if __name__ == "__main__":
    main()
