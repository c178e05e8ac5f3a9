"""Fixtures of a container engine. A test that takes one is marked `containers` and `full` by that, and comes after all others.

Where there is no engine it is skipped by name; with CI=true the engine is installed, and where that fails, so do the tests.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.real_containers import images
from scripts.real_containers.engine import status
from scripts.real_containers.places import Places
from scripts.real_servers import life
from scripts.real_servers.catalog import servers
from scripts.real_servers.folders import Folders
from scripts.real_servers.problem import Problem

FIXTURES = {"engine", "images_of_a_mesh"}
COMMAND = Path(__file__).parent.parent / "scripts" / "containers"
NEEDED = ("kafka", "minio", "consul")
"""Servers whose programs go into images."""


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "containers: needs a container engine (tests/engine.py); part of `full`")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Marks what needs an engine, and puts it last: the engine, and programs for its images, are made ready meanwhile."""
    for item in items:
        if FIXTURES.intersection(getattr(item, "fixturenames", ())):
            item.add_marker("containers")
            item.add_marker("full")
    late = {item.path for item in items if item.get_closest_marker("containers")}
    items.sort(key=lambda item: item.path in late)


@pytest.fixture(scope="session")
def engine() -> dict[str, str]:
    """What a program needs in its environment to use the engine with `docker` and `docker compose`."""
    in_ci = os.environ.get("CI") == "true"
    if in_ci and not status(Places.of(os.environ)).ready:
        done = subprocess.run([COMMAND, "install"], stdout=sys.stderr, check=False)
        if done.returncode != 0:
            pytest.fail("scripts/containers install failed (CI=true: a missing engine is a failure)", pytrace=False)
    found = status(Places.of(os.environ))
    if not found.ready:
        (pytest.fail if in_ci else pytest.skip)(found.why)
    return {**os.environ, **found.environment}


@pytest.fixture(scope="session")
def images_of_a_mesh(engine: dict[str, str]) -> dict[str, str]:
    """The environment of `engine`, when it has the images of compose/mesh.yml, made of the code as it is now."""
    places = Places.of(os.environ)
    if "PLUGMESH_PROGRAMS" in engine:
        for server in servers(NEEDED, Folders.of(os.environ)):
            try:
                life.install(server)
            except Problem as problem:
                pytest.fail(f"{server.name} could not be installed: {problem}", pytrace=False)
    images.build(places, engine)
    return engine
