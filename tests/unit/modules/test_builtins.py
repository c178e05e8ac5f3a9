"""The built-in modules as a whole: what importing and serving them costs, their page, and the example flows."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from module_sdk.loading import modules_in
from module_sdk.testing import run
from modules import builtins
from modules.builtins import BUILTINS
from plugmesh.contracts.flow import Flow, Source
from plugmesh.contracts.module import ModuleContract
from plugmesh.flows.binding import bind_inputs
from plugmesh.flows.parse import parse_flow_text
from plugmesh.flows.substitute import Scope, fill_map, fill_params
from plugmesh.flows.validate import check

ROOT = Path(__file__).resolve().parents[3]
FLOWS = sorted((ROOT / "examples" / "flows").glob("*.yaml"))
MODULES = {module.contract.name: module for module in BUILTINS}

FLIGHTS = """month,carrier,origin,dest,arr_delay,air_time,distance
6,UA,EWR,IAH,20,200,1400
6,UA,EWR,IAH,30,210,1400
7,AA,JFK,MIA,10,150,1089
8,ZZ,JFK,MIA,16,NA,1089
12,UA,LGA,ORD,NA,120,733
"""
AIRLINES = "carrier,name\nAA,American\nUA,United\nXX,Nobody\n"


class Known:
    """The built-in modules as a catalogue."""

    def names(self) -> list[str]:
        return list(MODULES)

    def find(self, module_reference: str) -> ModuleContract | None:
        module = MODULES.get(module_reference.partition("@")[0])
        return module.contract if module else None

    def is_live(self, module_reference: str) -> bool:
        return self.find(module_reference) is not None

    def disabled(self, module_reference: str) -> str:
        return ""

    def quarantined(self, module_reference: str) -> str:
        return ""

    def versions(self, name: str) -> list[str]:
        return [MODULES[name].contract.version] if name in MODULES else []


def test_one_file_serves_every_module() -> None:
    served = {module.contract.name for module in modules_in(builtins)}
    assert served == set(MODULES)
    assert served == {
        "io.read",
        "io.write",
        "sql.write",
        "table.select",
        "table.filter",
        "table.derive",
        "table.aggregate",
        "table.join",
        "table.sort",
        "table.limit",
    }


def test_contracts_are_derived_without_arrow_duckdb_or_pandas() -> None:
    assert imported_by("import modules.builtins").isdisjoint({"pyarrow", "duckdb", "pandas", "numpy"})


def test_pandas_is_not_imported_by_the_work_either() -> None:
    code = """
import pyarrow as pa
from module_sdk import Context
from module_sdk.workspace import Workspace
from modules.builtins import *
table = pa.table({"a": pa.arange(0, 9), "b": pa.arange(0, 9)})
table = derive(filter_rows(table, where="a > 1"), columns={"c": "a * b"})
table = sort(join(table, aggregate(table, by=["a"], measures={"n": "count(*)"}), on="a", how="full"), by=["-a"])
select(limit(table, rows=2), columns=["n"], ctx=Context(Workspace(None, str)))
"""
    assert "pandas" not in imported_by(code)


def imported_by(code: str) -> set[str]:
    code = f"{code}\nimport sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stderr == ""
    return set(done.stdout.split())


@pytest.mark.parametrize("name", MODULES)
def test_every_module_and_param_is_described(name: str) -> None:
    contract = MODULES[name].contract
    assert contract.doc
    assert contract.title
    for schema in contract.params["properties"].values():
        assert schema["description"].endswith(".")


def test_the_page_is_what_the_contracts_say() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "modules-page", "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("path", FLOWS, ids=lambda path: path.stem)
def test_the_example_flow_has_no_problems(path: Path) -> None:
    assert check(parse_flow_text(path.read_text(), path.name), Known(), live=True) == ()


EXPECTED: dict[str, list[dict[str, Any]]] = {
    "late-by-carrier": [
        {"carrier": "UA", "n": 2, "mean_delay": 25.0, "name": "United"},
        {"carrier": "ZZ", "n": 1, "mean_delay": 16.0, "name": None},
    ],
    "busiest-routes": [
        {"route": "EWR-IAH", "flights": 2, "mean_speed": 410.0},
        {"route": "JFK-MIA", "flights": 1, "mean_speed": 435.6},
    ],
    "unserved-airlines": [{"airline": "American", "carrier": "AA"}, {"airline": "Nobody", "carrier": "XX"}],
    "months": [
        {"month": 6, "flights": 2, "late": 2, "median_delay": 25.0},
        {"month": 7, "flights": 1, "late": 0, "median_delay": 10.0},
        {"month": 8, "flights": 1, "late": 1, "median_delay": 16.0},
    ],
}
PARAMS: dict[str, dict[str, Any]] = {"busiest-routes": {"top": 2}, "unserved-airlines": {"below": 2}}


@pytest.mark.parametrize("path", FLOWS, ids=lambda path: path.stem)
def test_the_example_flow_gives_the_right_table(path: Path, tmp_path: Path) -> None:
    files = {"flights": tmp_path / "flights.csv", "airlines": tmp_path / "airlines.csv"}
    files["flights"].write_text(FLIGHTS)
    files["airlines"].write_text(AIRLINES)
    flow = parse_flow_text(path.read_text(), path.name).draft
    assert flow is not None
    defaults = {name: param.default for name, param in flow.params.items()}
    params = defaults | PARAMS.get(path.stem, {})
    outputs = in_process(flow, Scope({}, params), {name: str(file) for name, file in files.items()})
    assert outputs["report"].to_pylist() == EXPECTED[path.stem]


def in_process(flow: Flow, scope: Scope, files: dict[str, str]) -> dict[str, Any]:
    """The outputs of a flow whose inputs are files, by calling one module after another."""
    results: dict[str, Any] = {}
    while len(results) < len(flow.nodes):
        for name, node in flow.nodes.items():
            module = MODULES[node.module]
            edges = bind_inputs(node, module.contract, name)
            if name in results or any(source.node not in results for edge in edges.values() for source in edge):
                continue
            inputs = {port: results[str(source.node)] for port, (source,) in edges.items()}
            asked = {key: str(value).removeprefix("${inputs.").rstrip("}") for key, value in node.params.items()}
            handed = {
                key: files[asked[key]] for key, value in node.params.items() if f"${{inputs.{asked[key]}}}" == value
            }
            plain = node.model_copy(update={"params": {k: v for k, v in node.params.items() if k not in handed}})
            items = fill_map(name, plain, scope)
            scopes = [scope] if items is None else [scope.at(item, index) for index, item in enumerate(items)]
            made = [run(module, inputs, **handed, **fill_params(name, plain, one)) for one in scopes]
            results[name] = made[0] if items is None else pa.concat_tables(made)
    return {name: results[_node(source)] for name, source in flow.outputs.items()}


def _node(source: Source) -> str:
    return str(source.node)
