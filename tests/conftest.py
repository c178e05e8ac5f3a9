"""What all tests share: the two suites (quick, full), the seeds they print, and free ports."""

import os
import random
from collections.abc import Callable, Iterator
from typing import Any

import hypothesis
import pytest

from scripts.real_servers.ports import is_free

pytest_plugins = ["tests.servers", "tests.engine", "tests.left_out"]

QUICK_SIM_SEEDS = 6
FULL_SIM_SEEDS = 300

hypothesis.settings.register_profile(
    "plugmesh",
    deadline=None,  # no test may depend on how busy the machine is
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
    print_blob=True,
)
hypothesis.settings.load_profile("plugmesh")


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("plugmesh")
    group.addoption("--all", action="store_true", help="also run the tests marked `full`")
    group.addoption("--sim-seed", action="append", type=int, default=[], help="run simulations with this seed only")
    group.addoption("--run-seed", type=int, default=None, help="what the random part of the seeds is drawn from")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    handed: dict[str, int] = getattr(config, "workerinput", {})
    if config.option.run_seed is None:
        config.option.run_seed = handed.get("run_seed", random.SystemRandom().randrange(2**32))
    if config.option.hypothesis_seed is None:
        config.option.hypothesis_seed = str(config.option.run_seed)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """A process of pytest-xdist: it must collect the same tests, so it gets the seed of the one that started it."""
    node.workerinput["run_seed"] = node.config.option.run_seed


def pytest_report_header(config: pytest.Config) -> list[str]:
    suite = "full" if config.option.all else "quick (--all runs everything)"
    return [f"plugmesh: suite {suite}; the same seeds again: --run-seed {config.option.run_seed}"]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that takes `sim_seed` runs once a seed; `--sim-seed N` replays one of them exactly."""
    if "sim_seed" in metafunc.fixturenames:
        metafunc.parametrize("sim_seed", _sim_seeds(metafunc.config))


def _sim_seeds(config: pytest.Config) -> list[int]:
    """The same seeds each time in the quick suite, so that a red test means a change; more, and new ones, with --all."""
    if config.option.sim_seed:
        return list(config.option.sim_seed)
    fixed = list(range(QUICK_SIM_SEEDS))
    if not config.option.all:
        return fixed
    drawn = random.Random(config.option.run_seed)
    return fixed + [drawn.randrange(1_000, 2**32) for _ in range(FULL_SIM_SEEDS - QUICK_SIM_SEEDS)]


@pytest.fixture(scope="session")
def _ports() -> Iterator[int]:
    """Ports below the ephemeral range, in a stretch of its own for each pytest-xdist worker."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    first = 20_000 + worker * 1_000 + os.getpid() % 900
    return iter(range(first, first + 5_000))


@pytest.fixture
def free_port(_ports: Iterator[int]) -> Callable[[], int]:
    """A function that returns a TCP port of 127.0.0.1 that nothing listens on, another one at each call."""

    def next_free() -> int:
        return next(port for port in _ports if is_free(port))

    return next_free
