"""One mesh for all bad days: it must outlive each of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.days import Days, bad_days


@pytest.fixture(scope="session")
def days_mesh(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Days]:
    with bad_days(tmp_path_factory.mktemp("days"), pytestconfig.option.run_seed) as days:
        yield days


@pytest.fixture
def days(days_mesh: Days) -> Iterator[Days]:
    """The mesh, well again after the test, with nothing wrong in its database and its store."""
    yield days_mesh
    days_mesh.heal()
    days_mesh.check()
