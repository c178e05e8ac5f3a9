"""The reference page: its flows are valid for the built-in modules, and its example of problems is what comes out."""

from pathlib import Path

import pytest

from modules.builtins import BUILTINS
from plugmesh.flows.concurrency import CONCURRENCY_KEYS
from plugmesh.flows.document import MAX_DEPTH, MAX_VALUES
from plugmesh.flows.nodes import MAX_NODES, NODE_KEYS
from plugmesh.flows.notify import NOTIFY_KEYS
from plugmesh.flows.parse import FLOW_KEYS, INPUT_KEYS, PARAM_KEYS, parse_flow_text
from plugmesh.flows.problem import MAX_PROBLEMS
from plugmesh.flows.retention import RETENTION_KEYS
from plugmesh.flows.retry import REJECTS_KEYS, RETRY_KEYS
from plugmesh.flows.validate import check
from tests.docs.blocks import Block, blocks_of
from tests.unit.flows.known import KnownModules

PAGE = Path(__file__).resolve().parents[3] / "docs" / "reference" / "flow-file.md"
TEXT = PAGE.read_text(encoding="utf-8")
BLOCKS = blocks_of(TEXT)
MESH = KnownModules(*(module.contract for module in BUILTINS))


def _said(text: str) -> list[str]:
    return [str(problem) for problem in check(parse_flow_text(text), MESH, live=True)]


@pytest.mark.parametrize(
    "block", [block for block in BLOCKS if block.language in {"yaml", "json"}], ids=lambda block: f"line {block.line}"
)
def test_every_flow_of_the_page_is_valid(block: Block) -> None:
    assert "flow" in block.text
    assert [message for message in _said(block.text) if "is not known; its step will be parked" not in message] == []


def test_the_problems_of_the_page_are_those_that_are_reported() -> None:
    wrong, said = (block.text for block in BLOCKS if block.language == "text")
    assert _said(wrong) == said.splitlines()


KEYS = {
    *FLOW_KEYS, *INPUT_KEYS, *PARAM_KEYS, *NODE_KEYS, *RETRY_KEYS, *REJECTS_KEYS, *CONCURRENCY_KEYS,
    *NOTIFY_KEYS, *RETENTION_KEYS,
}  # fmt: skip


@pytest.mark.parametrize("key", sorted(KEYS))
def test_every_key_is_explained(key: str) -> None:
    assert f"| `{key}` |" in TEXT


@pytest.mark.parametrize(
    "limit", [f"{MAX_NODES:,}", f"{MAX_VALUES:,}", f"{MAX_DEPTH} levels", f"{MAX_PROBLEMS}, the rest", "32 KiB as JSON"]
)
def test_the_limits_are_those_of_the_code(limit: str) -> None:
    assert limit in TEXT
