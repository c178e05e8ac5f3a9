"""How wide the columns of a table are on a terminal, and which of them there is no room for. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

GAP = 2
"""Blanks between two columns."""
LEAST = 12
"""What a column of words is not made narrower than, as long as another one can be left out."""
_LAST_RESORT = 4


@dataclass(frozen=True, slots=True)
class Need:
    """One column: its name, how wide its widest cell is, and whether it is worth nothing when it is cut."""

    name: str
    width: int
    whole: bool = False

    @property
    def least(self) -> int:
        """As narrow as it may become without harm."""
        return self.width if self.whole else min(self.width, LEAST)


def fit(needs: Sequence[Need], width: int, spare: Sequence[str] = ()) -> dict[str, int]:
    """The width of each column that is shown within `width` characters. Columns in `spare` are left out, the first
    ones first, as long as there is too little room; then words are cut, the longest most."""
    shown = {need.name: need for need in needs}
    for name in spare:
        if sum(need.least for need in shown.values()) + GAP * (len(shown) - 1) <= width:
            break
        if len(shown) > 1:
            shown.pop(name, None)
    room = width - GAP * (len(shown) - 1)
    widths = {name: need.width for name, need in shown.items()}
    _shrink(widths, {name: need.least for name, need in shown.items()}, room, shown.keys())
    words = [name for name, need in shown.items() if not need.whole]
    _shrink(widths, dict.fromkeys(shown, _LAST_RESORT), room, words)
    _shrink(widths, dict.fromkeys(shown, 1), room, shown.keys())
    return widths


def _shrink(widths: dict[str, int], least: Mapping[str, int], room: int, names: Collection[str]) -> None:
    """Take from the widest of these columns until all have room, or none of them can give."""
    excess = sum(widths.values()) - room
    while excess > 0:
        able = [name for name in names if widths[name] > least[name]]
        if not able:
            return
        widths[max(able, key=lambda name: widths[name])] -= 1
        excess -= 1
