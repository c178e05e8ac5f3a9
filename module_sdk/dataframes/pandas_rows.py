"""The index of a frame whose rows can be told apart after the module has filtered, sorted or repeated them.

It looks and behaves as the default index: no name, labels 0, 1, 2, … Only what picks rows hands its origin on. What
makes new labels (`index + 1`, `index // 10`, `reset_index`, `concat`, a group's key) gives an ordinary index, so that
no computed label stands for a row. A pickled one is an ordinary index, too. An author who puts labels that were picked
on a frame by hand (`DataFrame(..., index=rows.index[keep])`, `frame.index = rows.index[::-1]`) says with them which rows
those are, and is believed: pandas does not tell this from its own picking.
"""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import pandas as pd


class _Picking:
    """What `Whole` and `Picked` have in common: these are the ways in which pandas picks rows and copies an index."""

    origin: object = None

    def take(self, *args: Any, **kwargs: Any) -> Any:
        return _with_origin(super().take(*args, **kwargs), self.origin)  # type: ignore[misc]

    def repeat(self, *args: Any, **kwargs: Any) -> Any:
        return _with_origin(super().repeat(*args, **kwargs), self.origin)  # type: ignore[misc]

    def __getitem__(self, key: Any) -> Any:
        return _with_origin(super().__getitem__(key), self.origin)  # type: ignore[misc]

    def _getitem_slice(self, rows: slice) -> Any:
        return _with_origin(super()._getitem_slice(rows), self.origin)  # type: ignore[misc]

    def _view(self) -> Any:
        return _with_origin(super()._view(), self.origin)  # type: ignore[misc]


class Whole(_Picking, pd.RangeIndex):  # type: ignore[misc]
    """A regular part of the rows, in most cases all of them."""

    @classmethod
    def of(cls, rows: int, origin: object) -> Self:
        """The index of a frame of `rows` rows."""
        index = cls(rows)
        index.origin = origin
        return index

    def __reduce__(self) -> Any:
        return pd.RangeIndex, (self.start, self.stop, self.step)


class Picked(_Picking, pd.Index):  # type: ignore[misc]
    """Any rows in any order."""

    def __reduce__(self) -> Any:
        return pd.Index, (self.to_numpy(),)


def _with_origin(picked: Any, origin: object) -> Any:
    """`picked`, marked as rows of `origin` if it is an index of integers."""
    if origin is None or not isinstance(picked, pd.Index):
        return picked
    if not isinstance(picked, Whole | Picked):
        if isinstance(picked, pd.RangeIndex):
            picked = Whole(picked.start, picked.stop, picked.step, name=picked.name)
        elif picked.dtype == np.int64:
            picked = Picked._simple_new(picked.to_numpy(), name=picked.name)  # noqa: SLF001  a subclass may
        else:
            return picked
    picked.origin = origin  # it was made just now: nobody else has it
    return picked
