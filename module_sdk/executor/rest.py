"""Columns that pass through a module which was not handed them: which of their rows belong beside the rows it returned.

There are three proofs. A column that it was handed came back as it was, all of it; a pandas frame still has the index by
which its rows are known; or the contract promises `rows="same"`. Equal values prove nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from module_sdk.invoke import Picked, WrongReturn
from plugmesh.contracts.module import OutputPort
from plugmesh.data.schema import listed

if TYPE_CHECKING:
    import pyarrow as pa

_SHOWN = 3


def rows_of_rest(
    ref: str,
    port: OutputPort,
    rest: Sequence[str],
    *,
    same: bool,
    picked: Picked | None = None,
    comes_back: Callable[[], bool] = bool,
) -> pa.Int64Array | None:
    """The rows that columns `rest` of the input have in this output; `None`: all, in their order.

    `same` is what the contract promises, `picked` what a pandas frame still says, `comes_back` whether a column of that
    input came back as it was. Raises `WrongReturn` where nothing says it, or a promise is broken.
    """
    if picked is not None:
        if same and picked.rows is not None:
            raise WrongReturn(
                f'{ref}: it promises rows="same", but the frame that it returned for the output {port.name!r} has the rows '
                f"of {port.passes!r} in another order, or not all of them: return every row once and in order, or declare "
                'rows="any"',
                port.name,
            )
        return picked.rows
    if same or comes_back():
        return None
    raise WrongReturn(
        f"{ref}: {listed(rest, _SHOWN)} of {port.passes!r} must pass through the output {port.name!r}, but the module was not "
        "handed that, and nothing says which of its rows the returned rows are. There are three ways out: return one of the "
        "columns that it was handed as it is, or, with pandas, rows of the frame that it was handed, with their index; declare "
        'rows="same" if it returns every row once and in order; or take all columns ("...": True in inputs=) and return them',
        port.name,
    )
