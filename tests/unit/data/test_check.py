from typing import Any

import pyarrow as pa
import pytest

from plugmesh.contracts.module import InputPort, ModuleContract, OutputPort, Traits
from plugmesh.data.check import ColumnMismatch, check_input, check_output
from plugmesh.errors import DataMismatch

ORDERS = InputPort(name="orders", columns={"price": "float64", "qty": "int64"}, rest=False)
TOTAL = OutputPort(name="out", columns={"total": "float64"}, open=False)
PASSING = OutputPort(name="out", columns={"total": "float64"}, passes="orders", open=False)


def schema(**columns: Any) -> pa.Schema:
    return pa.schema(list(columns.items()))


GIVEN = schema(price=pa.float64(), qty=pa.int64())


def module(output: OutputPort = TOTAL, rows: Any = "any") -> ModuleContract:
    return ModuleContract(
        name="orders.price", version="1.2.0", inputs=(ORDERS,), outputs=(output,), traits=Traits(rows=rows)
    )


def check(output: OutputPort, returned: pa.Schema, *, rows: str = "any", counts: tuple[int, int] = (3, 3)) -> None:
    check_output(module(output, rows), output, returned, {"orders": GIVEN}, {"orders": counts[0]}, counts[1])


def test_input_with_the_declared_columns_passes_whatever_else_it_has() -> None:
    check_input(module(), ORDERS, schema(qty=pa.int64(), more=pa.string(), price=pa.float64()))


def test_missing_input_column_names_everything() -> None:
    with pytest.raises(ColumnMismatch) as caught:
        check_input(module(), ORDERS, schema(prize=pa.float64(), qty=pa.int64()))
    error = caught.value
    assert (error.module, error.port, error.column) == ("orders.price@1.2.0", "orders", "price")
    assert (error.expected, error.found) == ("float64", "no such column")
    assert isinstance(error, DataMismatch)
    assert str(error) == (
        "orders.price@1.2.0, port 'orders', column 'price': the column is missing: expected float64, found no such "
        "column. Connect an output that has it, or bind the name in the node: bind: {price: its_name}. "
        "Present are: prize, qty."
    )


def test_input_column_of_another_type_names_both() -> None:
    with pytest.raises(ColumnMismatch, match=r"'qty': .*expected int64, found timestamp\[us, tz=UTC\]\. Convert it"):
        check_input(module(), ORDERS, schema(price=pa.float64(), qty=pa.timestamp("us", "UTC")))


def test_input_type_may_be_any_and_any_layout_of_text() -> None:
    port = InputPort(name="t", columns={"a": "any", "b": "string"})
    check_input(module(), port, schema(a=pa.list_(pa.int8()), b=pa.large_string()))


def test_two_columns_of_one_name_are_refused() -> None:
    twice = pa.schema([("price", pa.float64()), ("price", pa.float64()), ("qty", pa.int64())])
    with pytest.raises(ColumnMismatch, match="'price': the name is not unique"):
        check_input(module(), ORDERS, twice)
    with pytest.raises(ColumnMismatch, match="'total': the name is not unique"):
        check(TOTAL, pa.schema([("total", pa.float64())] * 2))


def test_declared_output_passes() -> None:
    check(TOTAL, schema(total=pa.float64()))


def test_output_column_of_another_type_is_refused() -> None:
    with pytest.raises(ColumnMismatch, match=r"'total': .*expected float64, found int64"):
        check(TOTAL, schema(total=pa.int64()))


def test_missing_output_column_is_refused() -> None:
    with pytest.raises(ColumnMismatch, match="'total': the column is missing"):
        check(TOTAL, schema())


def test_undeclared_output_column_is_refused_unless_the_port_is_open() -> None:
    extra = schema(total=pa.float64(), other=pa.string())
    with pytest.raises(
        ColumnMismatch, match="'other': the column is not declared: expected no such column, found string"
    ):
        check(TOTAL, extra)
    check(TOTAL.model_copy(update={"open": True}), extra)


def test_passed_columns_are_allowed_and_needed() -> None:
    check(PASSING, schema(total=pa.float64(), price=pa.float64(), qty=pa.int64()))
    with pytest.raises(ColumnMismatch, match=r"'qty': the column is missing.*passes on the columns of 'orders'"):
        check(PASSING, schema(total=pa.float64(), price=pa.float64()))


def test_passed_column_must_keep_its_type() -> None:
    with pytest.raises(ColumnMismatch, match=r"'qty': .*expected int64, found float64"):
        check(PASSING, schema(total=pa.float64(), price=pa.float64(), qty=pa.float64()))


def test_passed_column_of_an_extension_type_is_compared_as_it_is() -> None:
    given = schema(id=pa.uuid())
    port = OutputPort(name="out", passes="orders", open=False)
    check_output(module(port), port, given, {"orders": given}, {"orders": 1}, 1)


def test_declared_column_may_replace_a_passed_one_with_another_type() -> None:
    port = PASSING.model_copy(update={"columns": {"qty": "string"}})
    check(port, schema(price=pa.float64(), qty=pa.string()))


def test_dropped_column_of_the_input_need_not_be_there_and_must_not() -> None:
    port = PASSING.model_copy(update={"drops": ("qty",)})
    check(port, schema(total=pa.float64(), price=pa.float64()))
    with pytest.raises(ColumnMismatch, match="'qty': the column is not declared"):
        check(port, schema(total=pa.float64(), price=pa.float64(), qty=pa.int64()))


def test_same_rows_are_counted() -> None:
    returned = schema(total=pa.float64())
    check(TOTAL, returned, rows="same")
    check(TOTAL, returned, rows="any", counts=(3, 2))
    with pytest.raises(ColumnMismatch, match="expected 3 rows, as in 'orders', found 2 rows") as caught:
        check(TOTAL, returned, rows="same", counts=(3, 2))
    assert caught.value.column is None


def test_source_has_no_rows_to_compare() -> None:
    check_output(module(rows="same"), TOTAL, schema(total=pa.float64()), {}, {}, 5)
