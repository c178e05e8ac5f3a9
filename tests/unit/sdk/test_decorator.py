"""From a decorated function to its contract."""

import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from module_sdk import Column, Columns, Connection, Context, Expression, File, Module, OfPort, Resources, Secret, module
from plugmesh.contracts.module import ModuleContract, ModuleKind, PortKind
from plugmesh.errors import ContractError


@module(
    "orders.price_total",
    version="1.2.0",
    inputs={"orders": {"price": "float64", "qty": "int64"}},
    outputs={"priced": {"...": "orders", "total": "float64"}},
    rows="same",
)
def price_total(orders: pa.Table, *, tax: float = 0.2) -> pa.Table:
    """Add the total price of each order line."""
    return orders


def test_the_designs_example_gives_its_contract() -> None:
    contract = price_total.contract
    assert contract.ref == "orders.price_total@1.2.0"
    assert contract.kind is ModuleKind.TRANSFORM
    assert contract.doc == "Add the total price of each order line."
    assert contract.title == "Price total"
    orders, priced = contract.inputs[0], contract.outputs[0]
    assert (orders.name, orders.columns, orders.rest) == ("orders", {"price": "float64", "qty": "int64"}, False)
    assert (priced.name, priced.columns, priced.passes, priced.open) == (
        "priced",
        {"total": "float64"},
        "orders",
        False,
    )
    assert contract.traits.rows == "same"
    assert contract.params["properties"]["tax"] == {"default": 0.2, "title": "Tax", "type": "number"}
    assert contract.code_digest.startswith("sha256:")
    assert ModuleContract.model_validate_json(contract.encode()) == contract


def test_only_the_name_is_required() -> None:
    @module("a")
    def anything(rows: pa.Table) -> pa.Table:
        return rows

    contract = anything.contract
    assert contract.version == "0.1.0"
    assert contract.inputs[0].rest
    assert [(port.name, port.open) for port in contract.outputs] == [("out", True)]


def test_a_decorated_function_is_still_a_function() -> None:
    table = pa.table({"price": [1.0], "qty": [2]})
    assert isinstance(price_total, Module)
    assert price_total(table, tax=0.1) is table
    assert price_total.__name__ == "price_total"


def test_the_context_is_no_port_and_no_param_wherever_it_stands() -> None:
    @module("a")
    def first(ctx: Context, rows: pa.Table) -> pa.Table:
        return rows

    @module("b")
    def last(rows: pa.Table, *, n: int = 1, ctx: Context) -> pa.Table:
        return rows

    assert [port.name for port in first.contract.inputs] == ["rows"]
    assert list(last.contract.params["properties"]) == ["n"]


def test_variadic_and_optional_ports() -> None:
    @module("a")
    def star(left: pa.Table, right: pa.Table | None = None, *tables: pa.Table) -> pa.Table:
        return left

    @module("b")
    def listed(tables: list[pa.Table]) -> pa.Table:
        return tables[0]

    assert [(p.name, p.optional, p.variadic) for p in star.contract.inputs] == [
        ("left", False, False),
        ("right", True, False),
        ("tables", True, True),
    ]
    assert [(p.optional, p.variadic) for p in listed.contract.inputs] == [(False, True)]


def test_the_annotation_decides_the_kind_of_a_port() -> None:
    @module("a")
    def mixed(
        table: Iterator[pa.RecordBatch], doc: File, limit: int, tags: list[str], maybe: dict[str, Any] | None = None
    ) -> dict[str, float]:
        return {}

    kinds = [port.kind for port in mixed.contract.inputs]
    assert kinds == [PortKind.TABLE, PortKind.FILE, PortKind.VALUE, PortKind.VALUE, PortKind.VALUE]
    assert mixed.contract.outputs[0].kind is PortKind.VALUE


def test_the_kind_of_a_module_follows_from_its_ports() -> None:
    @module("a")
    def source() -> pa.Table:
        return pa.table({})

    @module("b")
    def sink(rows: pa.Table) -> None: ...

    @module("c", kind="control")
    def gate(rows: pa.Table) -> pa.Table:
        return rows

    @module("d", outputs={})
    def silent_sink(rows): ...

    kinds = [m.contract.kind.value for m in (source, sink, gate, silent_sink)]
    assert kinds == ["source", "sink", "control", "sink"]


def test_mesh_types_mark_the_schema() -> None:
    @module("a")
    def typed(
        left: pa.Table,
        right: pa.Table,
        *,
        on: Annotated[Column, OfPort("left")],
        keep: Columns | None = None,
        where: Expression = Expression("true"),  # noqa: B008
        file: File | None = None,
        db: Connection | None = None,
        password: Secret | None = None,
        how: Literal["inner", "left"] = "inner",
    ) -> pa.Table:
        return left

    properties = typed.contract.params["properties"]
    assert properties["on"]["x-mesh"] == "column"
    assert properties["on"]["x-port"] == "left"
    assert properties["keep"]["anyOf"][0]["x-mesh"] == "columns"
    assert properties["where"]["x-mesh"] == "expression"
    assert properties["where"]["default"] == "true"
    assert [properties[name]["anyOf"][0]["x-mesh"] for name in ("file", "db", "password")] == [
        "file",
        "connection",
        "secret",
    ]
    assert properties["how"]["enum"] == ["inner", "left"]
    assert typed.contract.params["required"] == ["on"]


def test_async_and_generator_functions_are_modules() -> None:
    @module("a")
    async def slow(rows: pa.Table) -> pa.Table:
        return rows

    @module("b")
    def batches() -> Iterator[pa.RecordBatch]:
        yield pa.record_batch({"x": [1]})

    @module("c")
    async def ticks() -> AsyncIterator[pa.RecordBatch]:
        yield pa.record_batch({"x": [1]})

    assert [m.contract.traits.concurrent for m in (slow, batches, ticks)] == [True, False, True]
    assert all(m.contract.outputs[0].kind is PortKind.TABLE for m in (slow, batches, ticks))


def test_traits_and_resources_reach_the_contract() -> None:
    @module("a", rowwise=True, deterministic=False, idempotent=True, resources={"cpus": 2}, title="The A")
    def rich(rows: pa.Table) -> pa.Table:
        return rows

    traits = rich.contract.traits
    assert (traits.rowwise, traits.deterministic, traits.idempotent) == (True, False, True)
    assert rich.contract.resources == Resources(cpus=2)
    assert rich.contract.title == "The A"


def _declare(**options: Any) -> Any:
    def function(orders: pa.Table, *, tax: float = 0.2) -> pa.Table:
        return orders

    return module(options.pop("name", "a.b"), **options)(function)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"inputs": {"order": {"x": "int64"}}}, ["'order'", "orders"]),
        ({"inputs": {"orders": "tabel"}}, ["'tabel'", "'table', 'file', 'value'"]),
        ({"inputs": {"orders": {"...": "other"}}}, ['"..."', "True"]),
        ({"inputs": {"orders": "file"}}, ["'orders'", "file", "table"]),
        ({"inputs": {"orders": {1: "int64"}}}, ["names of columns are text"]),
        ({"inputs": {"orders": {"x": "floaty"}}}, ["'x'", "floaty"]),
        ({"outputs": {"out": {"...": "order"}}}, ["'order'", "orders"]),
        ({"outputs": {"out": {"${params.into}": "int64"}}}, ["${params.into}"]),
        ({"outputs": {"a b": True}}, ["'a b'"]),
        ({"name": "Orders Total"}, ["'Orders Total'", "dotted lower-case"]),
        ({"version": "1.2"}, ["'1.2'", "three numbers"]),
        ({"kind": "sauce"}, ["sauce"]),
        ({"rows": "same", "outputs": {}}, ['rows="same"']),
        ({"plan": lambda params: None}, ["(params, input_schemas)"]),
    ],
)
def test_a_declaration_that_does_not_fit_names_the_place(options: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(ContractError) as caught:
        _declare(**options)
    assert caught.value.code == "contract"
    message = str(caught.value)
    assert "test_decorator.py:" in message
    for word in words:
        assert word in message


def test_a_signature_that_cannot_be_a_module_names_the_parameter() -> None:
    def any_params(rows: pa.Table, **params: int) -> pa.Table:
        return rows

    def default_input(rows: pa.Table, factor: float = 2.0) -> pa.Table:
        return rows

    def half_optional(rows: pa.Table | None) -> pa.Table:
        return rows

    def unnamed_outputs(rows: pa.Table) -> dict[str, pa.Table]:
        return {}

    def no_json(rows: pa.Table, *, when: object = object()) -> pa.Table:
        return rows

    def unresolved(rows: "Frame") -> pa.Table:  # type: ignore[name-defined]  # noqa: F821
        return rows

    for function, words in (
        (any_params, ["'params'", "'*'"]),
        (default_input, ["'factor'", "after a '*'"]),
        (half_optional, ["'rows'", "= None"]),
        (unnamed_outputs, ["outputs="]),
        (no_json, ["no_json"]),
        (unresolved, ["'rows'", "Frame", "import"]),
    ):
        with pytest.raises(ContractError) as caught:
            module("a")(function)
        for word in [*words, "test_decorator.py:", function.__name__]:
            assert word in str(caught.value)


_NAMES = st.from_regex(r"\A[a-z]{1,8}\Z")


@given(ports=st.lists(_NAMES, unique=True, max_size=4), params=st.lists(_NAMES, unique=True, max_size=4))
def test_every_positional_is_a_port_and_every_keyword_only_a_param(ports: list[str], params: list[str]) -> None:
    import keyword

    ports = [name for name in ports if not keyword.iskeyword(name)]
    params = [name for name in params if name not in ports and not keyword.iskeyword(name)]
    names: dict[str, Any] = {"pa": pa}
    text = ", ".join([f"{p}: pa.Table" for p in ports] + (["*"] if params else []) + [f"{p}: int = 1" for p in params])
    exec(f"def made({text}) -> pa.Table: ...", names)
    contract = module("a")(names["made"]).contract
    assert [port.name for port in contract.inputs] == ports
    assert list(contract.params["properties"]) == params


def test_importing_the_sdk_loads_nothing_heavy() -> None:
    code = "import module_sdk, sys; print([m for m in ('pyarrow','pandas','pydantic','asyncio') if m in sys.modules])"
    answer = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


def test_declaring_a_module_does_not_need_pyarrow_or_pandas() -> None:
    code = (
        "import sys\nfrom module_sdk import module\n"
        "@module('a')\ndef a(rows): return rows\n"
        "print([m for m in ('pyarrow','pandas') if m in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


def test_the_code_digest_follows_the_file(tmp_path: Path) -> None:
    from module_sdk.decorator import code_digest

    file = tmp_path / "a.py"
    file.write_text("one")
    before = code_digest(str(file))
    file.write_text("two")
    assert before != code_digest(str(file))
