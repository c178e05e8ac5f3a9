"""The example modules do what they say."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from module_sdk.loading import load_file, modules_in
from module_sdk.testing import run

EXAMPLES = Path(__file__).resolve().parents[3] / "examples/modules"


def only_module(name: str) -> Any:
    [module] = modules_in(load_file(str(EXAMPLES / name)))
    return module


def test_price_total() -> None:
    orders = {"price": [10.0, 2.5], "qty": [1, 4], "who": ["a", "b"]}
    result = run(only_module("price_total.py"), orders, tax=0.5)
    assert result.column_names == ["price", "qty", "who", "total"]
    assert result["total"].to_pylist() == [15.0, 15.0]


def test_word_count(tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("the cat\nthe dog\n")
    result = run(only_module("word_count.py"), text, top=1)
    assert result["total"] == 4
    assert result["report"].read() == b"2 the\n"


def test_late_share() -> None:
    flights = pa.table({"carrier": ["a", "a", "b"], "arr_delay": [20.0, 0.0, 60.0], "other": [1, 2, 3]})
    result = run(only_module("late_share.py"), flights, by="carrier", delay="arr_delay")
    assert result.to_pydict() == {"carrier": ["a", "b"], "late_share": [0.5, 1.0], "flights": [2, 1]}


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.name)
def test_every_example_is_a_module_with_a_doc(path: Path) -> None:
    for module in modules_in(load_file(str(path))):
        assert module.contract.doc
        assert module.contract.version != "0.1.0"
