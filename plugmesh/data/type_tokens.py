"""Reading a type name token by token."""

from __future__ import annotations

import json
import re
from typing import NoReturn

from plugmesh.errors import ContractError

_TOKEN = re.compile(r'\s*(?:([A-Za-z_]\w*)|(-?\d+)|("(?:[^"\\]|\\.)*")|(.))', re.DOTALL)
_ZONE = re.compile(r"\s*([A-Za-z0-9_+\-/:]+)")


class TypeTokens:
    """A place in a text. Every method that does not find what it wants raises `ContractError`."""

    def __init__(self, text: str) -> None:
        self._text, self._at = text, 0
        self.example = ""  # how what is being read is written, for messages

    @property
    def rest(self) -> str:
        """What was not read yet."""
        return self._text[self._at :].strip()

    def mark(self) -> int:
        """A place to `go_back` to."""
        return self._at

    def go_back(self, mark: int) -> None:
        """Read again from `mark`."""
        self._at = mark

    def zone(self) -> str:
        found = _ZONE.match(self._text, self._at)
        if found is None:
            return self.label()
        self._at = found.end()
        return found[1]

    def label(self) -> str:
        token = self.token()
        if token.startswith('"'):
            label: str = json.loads(token)
            return label
        if not token.isidentifier():
            self.fail(f'a name was expected, found {token!r}: put odd names in "double quotes"')
        return token

    def word(self) -> str:
        token = self.token()
        if not token.isidentifier():
            self.fail(f"a type was expected, found {token or 'the end'!r}")
        return token

    def number(self) -> int:
        token = self.token()
        if not token.lstrip("-").isdecimal():
            self.fail(f"a number was expected, found {token or 'the end'!r}")
        return int(token)

    def accept(self, expected: str) -> bool:
        before = self._at
        if self.token() == expected:
            return True
        self._at = before
        return False

    def expect(self, expected: str) -> bool:
        before, token = self._at, self.token()
        if token != expected:
            self._at = before
            self.fail(f"{expected!r} was expected, found {token or 'the end'!r}")
        return True

    def token(self) -> str:
        found = _TOKEN.match(self._text, self._at)
        if found is None:
            return ""
        self._at = found.end()
        return found[found.lastindex or 0]

    def fail(self, problem: str) -> NoReturn:
        hint = f"; write it like {self.example}" if self.example else ""
        raise ContractError(f"type {self._text!r}: {problem}{hint}")
