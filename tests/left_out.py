"""Leaves out what is marked `full`, unless everything is to run, and says at the end what that was and how it is run."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

KINDS = {
    "containers": "need a container engine (docs/howto/deploy-compose.md)",
    "servers": "need real servers (docs/howto/real-servers.md)",
    "full": "take long",
}
"""By marker; a test counts for the first one that it has."""
Counts = dict[str, dict[str, int]]
_LEFT_OUT = pytest.StashKey[Counts]()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """After others have marked what needs servers."""
    if config.option.all:
        return
    left_out = [item for item in items if item.get_closest_marker("full")]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if not item.get_closest_marker("full")]
        _remember(config, left_out)


def _remember(config: pytest.Config, items: Sequence[pytest.Item]) -> None:
    """A process of pytest-xdist tells the one that started it."""
    counts = {kind: Counter[str]() for kind in KINDS}
    for item in items:
        kind = next(kind for kind in KINDS if item.get_closest_marker(kind))
        counts[kind][_folder(item.path, config.rootpath)] += 1
    config.stash[_LEFT_OUT] = {kind: dict(folders) for kind, folders in counts.items()}
    if hasattr(config, "workeroutput"):
        config.workeroutput["left_out"] = config.stash[_LEFT_OUT]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Every process has collected, and left out, the same."""
    told: Counts | None = getattr(node, "workeroutput", {}).get("left_out")
    if told is not None:
        node.config.stash[_LEFT_OUT] = told


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    left_out = config.stash.get(_LEFT_OUT, {})
    if not any(left_out.values()):
        return
    terminalreporter.section("left out; everything runs with: scripts/test --all")
    for kind, folders in left_out.items():
        if folders:
            listed = ", ".join(f"{folder} {number}" for folder, number in sorted(folders.items()))
            terminalreporter.write_line(f"{sum(folders.values())} tests that {KINDS[kind]}: {listed}")


def _folder(file: Path, root: Path) -> str:
    """Three levels deep at most: `tests/integration/bus`."""
    return "/".join(file.relative_to(root).parts[:-1][:3])
