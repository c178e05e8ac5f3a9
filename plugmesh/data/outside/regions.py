"""Which parts of the shared file hold batches that somebody still reads. Pure."""

from __future__ import annotations

PAGE_BYTES = 4096


class Regions:
    """Parts of a file: taken for a batch, given back when nobody has it any more, and then taken again.

    So the file grows to what is in use at a time, and its pages stay warm. Offsets and lengths are whole pages.
    """

    def __init__(self) -> None:
        self._taken: dict[int, int] = {}
        self._free: dict[int, int] = {}
        self.end = 0

    def take(self, size: int) -> int:
        """Offset of a part of at least `size` bytes: the smallest free one that fits, or a new one at the end."""
        wanted = max(1, -(-size // PAGE_BYTES)) * PAGE_BYTES
        fitting = [(length, offset) for offset, length in self._free.items() if length >= wanted]
        if fitting:
            length, offset = min(fitting)
            del self._free[offset]
        else:
            length, offset = wanted, self.end
            self.end += wanted
        self._taken[offset] = length
        return offset

    def give_back(self, offset: int) -> None:
        """Nobody reads the part at `offset` any more. Raises `KeyError` if it was not taken."""
        self._free[offset] = self._taken.pop(offset)
