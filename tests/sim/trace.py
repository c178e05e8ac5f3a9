"""What happened in a simulation, in order: the last events for reading, a digest of all for comparing."""

from __future__ import annotations

import hashlib
from collections import deque

SHOWN = 400


class Trace:
    """A bounded log; its digest covers every line."""

    def __init__(self) -> None:
        self._lines: deque[str] = deque(maxlen=SHOWN)
        self._hash = hashlib.sha256()
        self.count = 0

    def note(self, at: float, who: str, what: str) -> None:
        """One event at the virtual time `at`."""
        line = f"{at:10.4f} {who:<12} {what}"
        if "> beat" not in what:  # so many that nothing else would be left to read
            self._lines.append(line)
        self._hash.update(line.encode())
        self.count += 1

    @property
    def digest(self) -> str:
        """Equal for two simulations in which the same happened."""
        return f"{self.count}:{self._hash.hexdigest()}"

    def tail(self, lines: int = SHOWN) -> str:
        """The last events as text."""
        return "\n".join(list(self._lines)[-lines:])
