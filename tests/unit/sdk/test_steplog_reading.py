"""Logs as the gateway reads them: one object, or chunks that come while the step runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from module_sdk.storing import put
from plugmesh.contracts.messages import LogRef
from plugmesh.objects.local import LocalStore
from plugmesh.steplog import chosen, chunk_key, finished_lines, live_lines

PREFIX = "data/default/r/s/1"


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path, keep_free_bytes=0)


def lines(*texts: str, first: int | None = None, level: str = "info") -> bytes:
    documents = [
        {"at": 1.0, "level": level, "stream": "stdout", "text": text} | ({} if first is None else {"n": first + index})
        for index, text in enumerate(texts)
    ]
    return b"".join(json.dumps(document).encode() + b"\n" for document in documents)


def shown(found: object) -> list[tuple[int, str]]:
    assert hasattr(found, "__iter__")
    return [(line["n"], line["text"]) for line in found]


def test_one_object_is_numbered_from_one(store: LocalStore) -> None:
    put(store, "log", lines("a", "b"))
    assert shown(finished_lines(store, LogRef(key="log", bytes=1, lines=2))) == [(1, "a"), (2, "b")]


def test_chunks_are_read_while_the_step_runs_and_after_it(store: LocalStore) -> None:
    put(store, f"{PREFIX}/x-out", b"data")
    assert shown(live_lines(store, PREFIX)) == []
    put(store, chunk_key(PREFIX, 1), lines("a", "b", first=1))
    put(store, chunk_key(PREFIX, 2), lines("c", first=3))
    expected = [(1, "a"), (2, "b"), (3, "c")]
    assert shown(live_lines(store, PREFIX)) == expected
    log = LogRef(key=chunk_key(PREFIX, 1), bytes=1, lines=3, chunks=2)
    assert shown(finished_lines(store, log)) == expected


def test_chunks_that_were_cut_leave_a_remark_and_numbers_stay(store: LocalStore) -> None:
    put(store, chunk_key(PREFIX, 1), lines("a", first=1))
    put(store, chunk_key(PREFIX, 3), lines("z", first=90))
    found = shown(live_lines(store, PREFIX))
    assert found[0] == (1, "a")
    assert found[1][0] == 89
    assert "cut" in found[1][1]
    assert found[2] == (90, "z")


def test_what_is_no_json_is_shown_as_it_is(store: LocalStore) -> None:
    put(store, "log", b"what\xff\n{broken\n3\n")
    assert [text for _, text in shown(finished_lines(store, LogRef(key="log", bytes=1, lines=3)))] == [
        "what\ufffd", "{broken", "3",
    ]  # fmt: skip


def test_lines_are_chosen_by_number_level_and_text() -> None:
    given = [
        {"n": 1, "level": "debug", "text": "one"},
        {"n": 2, "level": "warning", "text": "Two"},
        {"n": 3, "text": "three"},
        {"n": 4, "level": "error", "text": "two more"},
    ]
    assert [line["n"] for line in chosen(given, after=2)] == [3, 4]
    assert [line["n"] for line in chosen(given, level="info")] == [2, 3, 4]
    assert [line["n"] for line in chosen(given, level="warning", search="TWO")] == [2, 4]
