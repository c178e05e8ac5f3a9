"""Text that comes from the mesh, made fit for a terminal: a module's words must not move the cursor or hide others."""

from __future__ import annotations

import unicodedata

REASON_CHARACTERS = 200
"""A reason that shares a line or a table with other things is not longer."""

_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_UNSAFE = {"Cc", "Cs", "Zl", "Zp"}
"""Control characters; halves of characters, which cannot be written at all; separators that end a line."""
_REORDERING = {*range(0x202A, 0x202F), *range(0x2066, 0x206A)}
"""What follows one of these can be shown in another order than it is written."""


def plain(text: str) -> str:
    """The text with its lines and tabs, but without any other control character."""
    text = text.replace("\r\n", "\n")
    if text.isprintable():
        return text
    return "".join(character if _is_safe(character) else _REPLACEMENT for character in text)


def one_line(text: str) -> str:
    """The text in one line and without control characters."""
    lines = text.splitlines() if not text.isprintable() else [text]
    whole = lines[0] if len(lines) == 1 else " ".join(line.strip() for line in lines if line.strip())
    return plain(whole.replace("\t", " "))


def brief(text: str) -> str:
    """One line of at most `REASON_CHARACTERS`; an ellipsis says that there was more."""
    line = one_line(text)
    return line if len(line) <= REASON_CHARACTERS else line[: REASON_CHARACTERS - 1].rstrip() + "…"


def _is_safe(character: str) -> bool:
    if character in "\n\t":
        return True
    return unicodedata.category(character) not in _UNSAFE and ord(character) not in _REORDERING
