"""Which objects a JSON text refers to, whatever it says besides. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pydantic_core import from_json

_KEY = re.compile(r'"((?:data|files)/[A-Za-z0-9._=/-]+)"')
_SPILLED = '"spilled"'


@dataclass(frozen=True, slots=True)
class Named:
    """Object keys that a text names: `keys` all of them, `spilled` those that hold a longer reference."""

    keys: frozenset[str] = frozenset()
    spilled: frozenset[str] = frozenset()

    def __or__(self, other: Named) -> Named:
        return Named(self.keys | other.keys, self.spilled | other.spilled)


NOTHING = Named()


def named_in(*texts: str | None) -> Named:
    """The objects that JSON texts name. Any string that looks like a key counts: better one too many."""
    keys: set[str] = set()
    spilled: set[str] = set()
    for text in texts:
        if text is not None:
            keys.update(_KEY.findall(text))
            if _SPILLED in text:
                spilled.update(_spilled_in(from_json(text)))
    return Named(frozenset(keys), frozenset(spilled))


def _spilled_in(document: Any) -> Iterable[str]:
    if isinstance(document, dict):
        if document.get("kind") == "spilled" and isinstance(document.get("key"), str):
            yield document["key"]
        for value in document.values():
            yield from _spilled_in(value)
    elif isinstance(document, list):
        for value in document:
            yield from _spilled_in(value)
