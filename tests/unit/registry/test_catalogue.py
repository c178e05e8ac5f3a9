"""What contradicts a known contract, and which contract is shown."""

from __future__ import annotations

from typing import Any

import pytest

from plugmesh.contracts.module import InputPort, ModuleContract, OutputPort, Traits
from registry.catalogue import Catalogue, contradiction


def contract(**changes: Any) -> ModuleContract:
    whole: dict[str, Any] = {
        "name": "orders.total",
        "version": "1.0.0",
        "inputs": (InputPort(name="orders", columns={"price": "float64"}), InputPort(name="rates")),
        "outputs": (OutputPort(name="out", columns={"total": "float64"}),),
        "params": {"type": "object", "properties": {"title": {"type": "string", "default": "x"}}},
    }
    return ModuleContract(**{**whole, **changes})


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        (
            {"inputs": (InputPort(name="orders", columns={"price": "int64"}), InputPort(name="rates"))},
            "inputs.orders.columns.price: known 'float64', offered 'int64'",
        ),
        ({"inputs": (InputPort(name="orders", columns={"price": "float64"}),)}, "inputs.rates: known, but not offered"),
        ({"traits": Traits(rows="same")}, "traits.rows: known 'any', offered 'same'"),
        (
            {"params": {"type": "object", "properties": {"title": {"type": "string", "default": "y"}}}},
            "params.properties.title.default: known 'x', offered 'y'",
        ),
        (
            {"params": {"type": "object", "properties": {}}},
            "params.properties.title: known, but not offered",
        ),
        (
            {"inputs": (InputPort(name="rates"), InputPort(name="orders", columns={"price": "float64"}))},
            "order of inputs: known ['orders', 'rates'], offered ['rates', 'orders']",
        ),
    ],
)
def test_another_promise_contradicts_and_the_text_says_where(changes: dict[str, Any], difference: str) -> None:
    assert contradiction(contract(), contract(**changes)) == difference


def test_texts_and_code_do_not_contradict() -> None:
    ports = (InputPort(name="orders", columns={"price": "float64"}, doc="new"), InputPort(name="rates", doc="new"))
    params = {
        "type": "object",
        "title": "New",
        "properties": {"title": {"type": "string", "default": "x", "description": "new"}},
    }
    offered = contract(title="New", doc="new", code_digest="sha256:1", inputs=ports, params=params)
    assert contradiction(contract(), offered) is None


def test_many_differences_are_cut_short() -> None:
    outputs = tuple(OutputPort(name=f"out{number}") for number in range(9))
    assert str(contradiction(contract(), contract(outputs=outputs))).endswith("; and 5 more")


def test_versions_are_kept_side_by_side_in_their_order() -> None:
    catalogue = Catalogue()
    for version in ("1.10.0", "1.9.0", "1.9.0-rc.1"):
        catalogue.enter(contract(version=version))
    assert catalogue.versions("orders.total") == ("1.9.0-rc.1", "1.9.0", "1.10.0")
    assert [module.version for module in catalogue.modules()] == ["1.9.0-rc.1", "1.9.0", "1.10.0"]


def test_new_code_replaces_the_contract_and_old_code_does_not_come_back() -> None:
    catalogue, old, new = Catalogue(), contract(code_digest="sha256:1"), contract(code_digest="sha256:2")
    assert catalogue.enter(old)
    assert catalogue.enter(new)
    assert not catalogue.enter(old)
    assert catalogue.contract("orders.total", "1.0.0") == new
