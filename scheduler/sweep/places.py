"""Whose an object is, by its key. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from plugmesh.objects.keys import lender_of

DATA, FILES = "data/", "files/"
_LOG_ENDING = ".jsonl"


def run_prefix(namespace: str, run: str) -> str:
    """Where all objects of a run lie."""
    return f"{DATA}{namespace}/{run}/"


def is_log(key: str) -> bool:
    """Logs are kept for a time of their own."""
    return key.endswith(_LOG_ENDING)


def lenders(keys: Iterable[str], but: str = "") -> frozenset[str]:
    """All whom these keys belong to, without the run `but`."""
    return frozenset(lender_of(key) for key in keys) - {but}
