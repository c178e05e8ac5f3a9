"""docs/reference/protocol is what the contracts say."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from plugmesh.contracts.instance import Beat
from plugmesh.contracts.messages import Done
from plugmesh.flows.schema import check_value

ROOT = Path(__file__).resolve().parents[3]
FOLDER = ROOT / "docs" / "reference" / "protocol"


def test_the_published_schemas_are_up_to_date() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "protocol"), "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.json")), ids=lambda path: path.name)
def test_a_schema_names_itself_and_is_listed(path: Path) -> None:
    schema = json.loads(path.read_text(encoding="utf-8"))
    assert schema["$id"] == f"urn:plugmesh:protocol:1.0:{path.stem}"
    assert schema["type"] == "object"
    assert schema["description"]
    assert f"]({path.name})" in (FOLDER / "index.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "document"),
    [
        ("beat", Beat(instance="i-1", held=("r/s/1",), running=1)),
        ("done", Done(instance="i-1", run="r", step="s", epoch=1)),
    ],
)
def test_a_message_fits_its_schema(name: str, document: Any) -> None:
    schema = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    message = json.loads(document.encode())
    assert check_value(message, schema) == []
    assert check_value({**message, "instance": 5}, schema) != []
    assert check_value({key: value for key, value in message.items() if key != "instance"}, schema) != []
