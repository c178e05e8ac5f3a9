"""The harness on real servers must be able to fail, too. Here some of the broken rules; all of them, in a quarter of an hour:
`python -m tests.chaos.mutants`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from scripts.real_mesh import new_servers
from scripts.real_servers.own_server import OwnServer
from tests.broken_code import ROOT
from tests.chaos.mutants import MUTANTS, STALLED, broken, noticed

TRIED = ("stale-results-accepted", "effects-before-commit", "offset-before-work")


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, OwnServer]]:
    with new_servers(tmp_path_factory.mktemp("servers")) as started:
        yield started


def test_every_mutant_has_a_story() -> None:
    assert set(MUTANTS) == {path.stem for path in (ROOT / "tests/mutants").glob("*.patch")}


def test_that_all_takes_too_long_is_a_sign_only_where_a_lost_result_is_waited_for() -> None:
    def taken_in_by(found: str) -> set[str]:
        return {name for name, setting in MUTANTS.items() if setting.signs([STALLED + found])}

    assert taken_in_by("not everybody is ready after 180 s; ") == set()
    assert taken_in_by("run-1 does not end after 180 s; ") == {"result-lost-with-hub"}


@pytest.mark.servers
@pytest.mark.parametrize("name", TRIED)
def test_whole_code_keeps_the_rule(name: str, servers: Mapping[str, OwnServer], tmp_path: Path) -> None:
    assert not noticed(servers, tmp_path / "day", MUTANTS[name], None)


@pytest.mark.servers
@pytest.mark.parametrize("name", TRIED)
def test_the_broken_rule_is_noticed(name: str, servers: Mapping[str, OwnServer], tmp_path: Path) -> None:
    setting = MUTANTS[name]
    found = noticed(servers, tmp_path / "day", setting, broken(tmp_path / "code", name))
    assert setting.signs(found), found
