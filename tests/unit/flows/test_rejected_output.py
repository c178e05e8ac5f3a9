"""The output that every step has beside its own: the rows that it rejected."""

import pyarrow as pa
import pytest

from plugmesh.contracts.data import DataRef
from plugmesh.contracts.flow import Source
from plugmesh.contracts.module import REJECTED, ModuleContract, OutputPort, PortKind
from plugmesh.data.schema import schema_of
from plugmesh.errors import FlowInvalid
from plugmesh.flows.binding import Misfit, fit_output
from plugmesh.flows.feeding import NOTHING_REJECTED, port_of, ports_of_elements


def table(rows: int) -> DataRef:
    return DataRef(schema_ipc=f"of {rows}", rows=rows, fragments=())


OUT, BAD = (table(3),), (table(1),)
SINK = ModuleContract(name="t.sink")
ONE = ModuleContract(name="t.one", outputs=(OutputPort(name="out", columns={"a": "int64"}),))


@pytest.mark.parametrize("contract", [SINK, ONE], ids=["sink", "transform"])
def test_every_module_has_it_and_its_columns_are_unknown(contract: ModuleContract) -> None:
    found = fit_output(Source(node="n", port=REJECTED), contract)
    assert isinstance(found, OutputPort)
    assert (found.kind, found.open, found.columns) == (PortKind.TABLE, True, {})


def test_the_only_output_is_one_of_the_modules_own() -> None:
    found = fit_output(Source(node="n"), ONE)
    assert isinstance(found, OutputPort)
    assert found.name == "out"
    assert isinstance(fit_output(Source(node="n"), SINK), Misfit)
    assert port_of({"out": OUT, REJECTED: BAD}, None, "n") is OUT
    assert port_of({REJECTED: BAD, "made": OUT}, None, "n") is OUT
    with pytest.raises(FlowInvalid, match="has no output 'out'"):
        port_of({REJECTED: BAD}, None, "n")


def test_a_wrong_name_is_met_with_the_right_one() -> None:
    found = fit_output(Source(node="n", port="rejcted"), ONE)
    assert isinstance(found, Misfit)
    assert "rejected" in found.hint


def test_of_a_mapped_node_only_elements_with_dead_letters_count() -> None:
    none, some = table(0), table(2)
    elements = [{"out": table(1), REJECTED: none}, {"out": table(1), REJECTED: some}, {"out": table(1)}]
    assert ports_of_elements(elements)[REJECTED] == (some,)
    assert ports_of_elements([{REJECTED: none}, {REJECTED: none}])[REJECTED] == (none,)


def test_where_nothing_was_rejected_there_is_an_empty_table() -> None:
    assert port_of({"out": OUT, REJECTED: BAD}, REJECTED, "n") is BAD
    assert port_of({"out": OUT}, REJECTED, "n") == (NOTHING_REJECTED,)
    assert port_of({}, REJECTED, "n") == (NOTHING_REJECTED,)
    assert schema_of(NOTHING_REJECTED) == pa.schema([("_reason", pa.string())])
