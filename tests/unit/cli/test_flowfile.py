"""What is handed in with a flow on the command line."""

from pathlib import Path
from typing import Any

import pytest

from plugmesh.cli.api.flowfile import FlowFile, hand_in, pairs, params_of, read_flow
from plugmesh.errors import ConfigurationError, NotFound

FLOW = FlowFile(
    "f.yaml",
    "flow: a/b\nparams:\n  code: {type: string}\n  n: {type: integer}\n  days: {type: array}\n"
    "nodes:\n  it: {module: x.y}\n",
)


class Client:
    """Stands for the mesh's file store."""

    def __init__(self) -> None:
        self.uploaded: list[tuple[str, bytes]] = []

    def upload(self, name: str, path: Path) -> dict[str, Any]:
        self.uploaded.append((name, path.read_bytes()))
        return {
            "name": name,
            "key": f"files/{len(self.uploaded)}",
            "bytes": 1,
            "hash": "h",
            "media_type": "m",
            "more": 1,
        }


def test_a_param_is_read_as_the_flow_declares_it() -> None:
    given = params_of(FLOW.text, ["code=007", "n=7", "days=[1, 2]"])
    assert given == {"code": "007", "n": 7, "days": [1, 2]}


def test_a_param_of_the_wrong_form_is_an_error_that_names_the_type() -> None:
    with pytest.raises(ConfigurationError, match=r"--param n=many: .many. is no integer, which the flow asks for"):
        params_of(FLOW.text, ["n=many"])


def test_an_undeclared_param_is_json_where_it_can_be() -> None:
    assert params_of(FLOW.text, ["x=3", "y=three"]) == {"x": 3, "y": "three"}


def test_params_of_a_flow_that_cannot_be_parsed_are_left_to_the_mesh() -> None:
    assert params_of("flow: [", ["n=1"]) == {"n": 1}


def test_values_may_hold_equal_signs() -> None:
    assert pairs(["where=a=1"], "--param") == {"where": "a=1"}


@pytest.mark.parametrize("words", [["where"], ["=1"], ["n=1", "n=2"]])
def test_words_that_are_no_pairs_are_errors(words: list[str]) -> None:
    with pytest.raises(ConfigurationError, match="--param"):
        pairs(words, "--param")


def test_inputs_are_uploads_files_on_the_mesh_or_values(tmp_path: Path) -> None:
    (tmp_path / "a=b.csv").write_bytes(b"x")
    client: Any = Client()
    found = hand_in([f"one={tmp_path / 'a=b.csv'}", "two=@there.csv", 'three:={"k": "a=b"}'], client.upload)
    assert found["one"] == {
        "kind": "file", "name": "a=b.csv", "key": "files/1", "bytes": 1, "hash": "h", "media_type": "m",
    }  # fmt: skip
    assert found["two"] == {"file": "there.csv"}
    assert found["three"] == {"value": {"k": "a=b"}}


def test_nothing_is_uploaded_when_a_file_is_missing(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"x")
    client: Any = Client()
    with pytest.raises(NotFound, match=r"--input two=nope\.csv"):
        hand_in([f"one={tmp_path / 'a.csv'}", "two=nope.csv"], client.upload)
    assert client.uploaded == []


def test_a_flow_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="there is no flow file"):
        read_flow(str(tmp_path / "nope.yaml"))
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_flow(str(tmp_path / "binary.yaml"))
