"""Whose an object is, by its key. Pure."""

from __future__ import annotations

from collections.abc import Iterable

DATA, FILES = "data/", "files/"
_LOG_ENDING = ".jsonl"
_DATA_WORDS = 4


def run_prefix(namespace: str, run: str) -> str:
    """Where all objects of a run lie."""
    return f"{DATA}{namespace}/{run}/"


def is_log(key: str) -> bool:
    """Logs are kept for a time of their own."""
    return key.endswith(_LOG_ENDING)


def lender_of(key: str) -> str:
    """Whom a key belongs to: the run's id for data, the key itself for a version of a file."""
    words = key.split("/", _DATA_WORDS)
    return words[2] if key.startswith(DATA) and len(words) >= _DATA_WORDS else key


def lenders(keys: Iterable[str], but: str = "") -> frozenset[str]:
    """All whom these keys belong to, without the run `but`."""
    return frozenset(lender_of(key) for key in keys) - {but}
