"""Columns that are declared as `False` do not pass through an output, whether the module returns them or not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from module_sdk import Columns, module
from module_sdk.testing import run
from plugmesh.errors import ContractError

ORDERS = {"who": ["ada", "bob"], "price": [1.0, 2.0], "qty": [3, 4]}


@module(
    "d.total",
    inputs={"orders": {"price": "float64", "qty": "int64"}},
    outputs={"out": {"...": "orders", "total": "float64", "qty": False}},
    rows="same",
)
def total(orders: pa.Table, *, keep: bool = True) -> pa.Table:
    made = orders.append_column("total", pc.multiply(orders["price"], orders["qty"]))
    return made if keep else made.drop_columns(["qty"])


@module("d.stream", outputs={"out": {"...": "orders", "qty": False}})
def stream(orders: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    yield from orders


@module("d.same", outputs={"out": {"...": "orders", "qty": False}})
def same(orders: pa.Table) -> pa.Table:
    return orders


@module(
    "d.unseen", inputs={"orders": {"price": "float64"}}, outputs={"out": {"...": "orders", "who": False}}, rows="same"
)
def unseen(orders: pa.Table) -> pa.Table:
    return orders


@module("d.named", outputs={"out": {"...": "orders", "qty": "string", "${params.gone}": False}})
def named(orders: pa.Table, *, gone: Columns) -> pa.Table:
    return orders.set_column(2, "qty", pc.cast(orders["qty"], pa.string()))


@pytest.mark.parametrize("keep", [True, False])
def test_a_dropped_column_may_be_returned_or_not(keep: bool) -> None:
    assert run(total, ORDERS, keep=keep).column_names == ["who", "price", "total"]


@pytest.mark.parametrize("one", [stream, same])
def test_it_is_taken_out_of_streams_and_of_the_very_input(one: Any) -> None:
    assert run(one, ORDERS).column_names == ["who", "price"]


def test_a_column_that_the_module_is_not_handed_can_be_dropped() -> None:
    assert run(unseen, ORDERS).column_names == ["price", "qty"]


def test_a_param_names_what_is_dropped_and_what_is_made_anew_stays() -> None:
    assert run(named, ORDERS, gone=["who", "qty"]).to_pydict() == {"price": [1.0, 2.0], "qty": ["3", "4"]}


def test_the_contract_says_what_is_dropped() -> None:
    out = total.contract.outputs[0]
    assert (out.columns, out.passes, out.drops) == ({"total": "float64"}, "orders", ("qty",))


@pytest.mark.parametrize(
    ("ports", "words"),
    [
        ({"outputs": {"out": {"qty": False, "x": "int64"}}}, 'name the input whose columns do, e.g. "...": "orders"'),
        ({"outputs": {"out": {"...": True, "qty": False}}}, "no columns pass through this output"),
        ({"inputs": {"orders": {"qty": False}}}, "an input names the columns that are read"),
        ({"outputs": {"out": {"...": "orders", "${params.no}": False}}}, "a param that is not there"),
    ],
)
def test_false_where_nothing_passes_is_refused(ports: dict[str, Any], words: str) -> None:
    with pytest.raises(ContractError) as caught:

        @module("d.wrong", **ports)
        def wrong(orders: pa.Table) -> pa.Table:
            return orders

    assert words in str(caught.value)
