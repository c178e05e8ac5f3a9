"""The key of an effect: whose it is and on which data; never who tries, nor how often."""

from typing import Any

from module_sdk.context import Context
from module_sdk.executor.fingerprint import fingerprint
from module_sdk.workspace import Workspace
from plugmesh.contracts.data import ColumnGroup, ColumnSpan, DataRef, FileRef, Fragment
from plugmesh.data.reference import slice_ref
from plugmesh.objects.local import LocalStore


def key(tmp_path: Any, **names: Any) -> str:
    workspace = Workspace(lambda: LocalStore(tmp_path, keep_free_bytes=0), str)
    return Context(workspace, **{"run": "r1", "step": "s", "fingerprint": lambda: "f", **names}).sink_key(3)


def test_every_attempt_and_every_rerun_has_the_same_key(tmp_path: Any) -> None:
    keys = {key(tmp_path), key(tmp_path, attempt=7), key(tmp_path, run="r2", root="r1"), key(tmp_path, root="r1")}
    assert len(keys) == 1


def test_another_run_step_or_input_has_another_key(tmp_path: Any) -> None:
    others: tuple[dict[str, Any], ...] = (
        {},
        {"run": "r2"},
        {"step": "s.1"},
        {"fingerprint": lambda: "g"},
        {"run": "r2", "root": "r3"},
    )
    assert len({key(tmp_path, **names) for names in others}) == len(others)


def table(*fragments: list[list[str]], attempt: str = "1") -> DataRef:
    """A table whose fragments have groups of columns of 5 bytes."""
    parts = tuple(
        Fragment(
            rows=2,
            groups=tuple(
                ColumnGroup(
                    key=f"{attempt}/{number}",
                    columns=tuple(ColumnSpan(name=name, offset=0, length=5, hash=f"h-{name}") for name in group),
                )
                for number, group in enumerate(groups)
            ),
        )
        for groups in fragments
    )
    return DataRef(schema_ipc="", rows=2 * len(parts), fragments=parts)


def test_where_and_in_which_groups_the_columns_lie_is_no_part_of_the_input() -> None:
    one, other = table([["a", "b"], ["c"]]), table([["c"], ["b", "a"]], attempt="2")
    assert fingerprint({"in": [one]}) == fingerprint({"in": [other]})


def test_another_part_of_the_same_bytes_is_another_input() -> None:
    whole = table([["a", "b"]])
    parts = [slice_ref(whole, start, rows) for start, rows in ((0, 2), (0, 1), (1, 1))]
    assert len({fingerprint({"in": [part]}) for part in parts}) == 3


def test_the_order_of_fragments_and_the_port_are_part_of_the_input() -> None:
    one, other = table([["a"]], [["b"]]), table([["b"]], [["a"]])
    assert len({fingerprint({"in": [one]}), fingerprint({"in": [other]}), fingerprint({"to": [one]})}) == 3


def test_a_file_is_its_bytes() -> None:
    files = [
        FileRef(name=name, key=name, bytes=3, hash=bytes_) for name, bytes_ in (("a", "h"), ("b", "h"), ("a", "i"))
    ]
    found = [fingerprint({"in": [file]}) for file in files]
    assert found[0] == found[1] != found[2]
