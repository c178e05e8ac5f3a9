"""Lists of columns in a query: `price,name`, and to sort by `-price,name`. Pure.

A name that has a comma, or begins with a double quote or a minus, stands in double quotes, a quote in it doubled:
`"a, b",-"-c"`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from gateway.errors import BadRequest

_ITEM = re.compile(r'(?P<minus>-?)(?:"(?P<quoted>(?:[^"]|"")*)"|(?P<plain>[^",][^,]*|))(?P<end>,|$)', re.DOTALL)


def column_names(text: str, limit: int) -> list[str]:
    """The columns of `columns=`. Raises `BadRequest`."""
    names = [minus + name if plain else name for minus, name, plain in _items("columns", text)]
    return _bounded("columns", names, limit)


def sort_keys(text: str, limit: int) -> list[tuple[str, bool]]:
    """The columns of `sort=`, each with whether it is sorted downwards. Raises `BadRequest`."""
    keys = [(name, bool(minus)) for minus, name, _ in _items("sort", text)]
    _bounded("sort", [name for name, _ in keys], limit)
    return keys


def _items(what: str, text: str) -> Iterator[tuple[str, str, bool]]:
    """Minus, name, and whether the name stands without quotes."""
    at = 0
    while at < len(text):
        found = _ITEM.match(text, at)
        if found is None:
            raise BadRequest(
                f"{what}: {text[at : at + 40]!r} is no column: separate names by commas, and put a name that has "
                'a comma or a quote in double quotes, as in "a, b"'
            )
        quoted, plain = found["quoted"], found["plain"]
        if quoted is not None:
            yield found["minus"], quoted.replace('""', '"'), False
        elif plain or found["minus"]:
            yield found["minus"], plain, True
        at = found.end()


def _bounded(what: str, names: list[str], limit: int) -> list[str]:
    if len(names) > limit:
        raise BadRequest(f"{what}: {len(names):,} columns are too many at once, {limit:,} are possible: ask in parts")
    return names
