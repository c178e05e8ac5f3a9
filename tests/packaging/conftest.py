"""A wheel and an sdist built once, and an environment that has the wheel but not the checkout."""

import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with both, made as a release is: the sdist from the checkout, the wheel from the unpacked sdist."""
    target = tmp_path_factory.mktemp("dist")
    # -P: the repository root must not shadow anything; --no-isolation: hatchling is in the lock, so no index is asked.
    command = [sys.executable, "-P", "-m", "build", "--no-isolation", "--outdir", str(target), str(ROOT)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return target


@pytest.fixture(scope="session")
def wheel(distributions: Path) -> Path:
    return next(distributions.glob("*.whl"))


@pytest.fixture(scope="session")
def sdist(distributions: Path) -> Path:
    return next(distributions.glob("*.tar.gz"))


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` folder of a clean environment with the wheel; its dependencies are borrowed from this one by a .pth line."""
    home = tmp_path_factory.mktemp("clean")
    venv.create(home, with_pip=False)
    pip = [sys.executable, "-m", "pip", "--python", str(home / "bin" / "python"), "--disable-pip-version-check"]
    subprocess.run([*pip, "install", "--quiet", "--no-index", "--no-deps", str(wheel)], check=True)
    _borrow_dependencies(home)
    return home / "bin"


def _borrow_dependencies(home: Path) -> None:
    """A path added by a .pth file comes after site-packages, and .pth files inside it (the editable checkout) are not read."""
    theirs = sysconfig.get_path("purelib", vars={"base": str(home), "platbase": str(home)})
    (Path(theirs) / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")


@pytest.fixture
def author_folder(tmp_path: Path) -> Path:
    """A working folder with an author's own `scheduler.py`, `registry/` and `modules/`."""
    author = tmp_path / "author"
    for folder in ("registry", "modules"):
        (author / folder).mkdir(parents=True)
        (author / folder / "__init__.py").write_text("")
    (author / "scheduler.py").write_text('GREETING = "from the author"\n')
    return author
