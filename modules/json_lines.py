"""Lines of a file of JSON lines that are no objects."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from typing import Any

from modules.csv_lines import PIECE_BYTES, BadLine, GoodLines

_SAMPLE_CHARS = 2000
_ESCAPED_SURROGATE = b"\\ud"


class _Twice(Exception):
    """A key stands twice in an object."""


class GoodObjects:
    """A stream of the lines that hold an object; `on_bad` is told of the others. Looks at each line by itself: only for
    who asks for it."""

    closed = False

    def __init__(self, stream: Any, on_bad: Callable[[BadLine], None]) -> None:
        self._lines = GoodLines(stream, "utf-8", on_bad, header=False)
        self._on_bad = on_bad
        self._row = 0
        self._begun = b""
        self._left = bytearray()
        self._over = False

    def read(self, size: int = -1) -> bytes:
        """As of any stream."""
        wanted = PIECE_BYTES if size < 0 else size
        while len(self._left) < wanted and not self._over:
            self._fill()
        data = bytes(self._left[:wanted])
        del self._left[:wanted]
        return data

    def _fill(self) -> None:
        piece = self._lines.read()
        self._over = not piece
        lines = (self._begun + piece).split(b"\n")
        self._begun = b"" if self._over else lines.pop()
        for line in lines:
            self._row += 1
            reason = _reason(line)
            if reason is None:
                self._left += line + b"\n"
            else:
                text = line[:_SAMPLE_CHARS].decode(errors="replace")
                self._on_bad(BadLine(self._lines.line_of(self._row), reason, text))


def _reason(line: bytes) -> str | None:
    if not line.strip():
        return None
    try:
        found = json.loads(line, object_pairs_hook=_object)
        if _ESCAPED_SURROGATE in line.lower():
            json.dumps(found, ensure_ascii=False).encode()
    except RecursionError:
        return "it is nested too deep"
    except UnicodeEncodeError:
        return "it has half of a character (a surrogate without the other one)"
    except _Twice as error:
        return f"it has {error.args[0]!r} twice"
    except ValueError as error:
        return f"it is no JSON: {getattr(error, 'msg', error)}"
    return None if isinstance(found, dict) else "it is JSON, but no object"


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Raises `_Twice`: Arrow takes no object that names a key again."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _Twice(Counter(name for name, _ in pairs).most_common(1)[0][0])
    return found
