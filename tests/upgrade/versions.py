"""Other versions of Plugmesh to run beside this one: the version before, from its wheel, and a next one, made up of this one."""

import fcntl
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import venv
from pathlib import Path

from plugmesh import __version__
from plugmesh.state.migrate import HEAD

ROOT = Path(__file__).resolve().parents[2]
BEFORE = "8de7586dc67dfa8c509388b35f3fad0f55df8aee"
"""The commit of version 0.1.0 (the tag v0.1.0, which a clone need not have)."""
GIVEN_UP = ("structlog==26.1.0",)
"""What that version stands on and this one does not."""
PACKAGES = ("plugmesh", "module_sdk", "registry", "scheduler", "gateway", "modules")

MIGRATION = '''"""Something more."""

import os
import time
from pathlib import Path

import sqlalchemy as sa
from alembic import op

revision = "{made:04}"
down_revision = "{down:04}"
beside = "{beside:04}"


def upgrade() -> None:
    op.create_table("extra_{made:04}", sa.Column("id", sa.Integer(), primary_key=True))
    gate = Path(os.environ.get("UPGRADE_GATES", "/"), "hold")
    if gate.exists():
        gate.with_name("held").touch()
    while gate.exists():
        time.sleep(0.02)
    op.add_column("scheduler", sa.Column("build_{made:04}", sa.String(16), nullable=True))
'''
"""Of a next version: it adds a table and a column; whoever wants to kill it in the middle puts a file `hold` there."""


class NoHistory(Exception):
    """This checkout does not know the commit of the version before."""


def wheel_before() -> Path:
    """The wheel of the version before, built from its commit once and kept below ~/.cache. Raises NoHistory."""
    kept = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "plugmesh-upgrade", BEFORE)
    kept.mkdir(parents=True, exist_ok=True)
    with (kept / "lock").open("w") as lock:  # other test processes want it as well
        fcntl.flock(lock, fcntl.LOCK_EX)
        found = sorted(kept.glob("*.whl"))
        return found[0] if found else _built(kept)


def _built(kept: Path) -> Path:
    with tempfile.TemporaryDirectory() as name:
        source, target = Path(name, "source"), Path(name, "dist")
        _unpack(source)
        # -P: the folder must not shadow anything; --no-isolation: hatchling is in the lock, so no index is asked.
        command = [
            sys.executable,
            "-P",
            "-m",
            "build",
            "--wheel",
            "--no-isolation",
            "--outdir",
            str(target),
            str(source),
        ]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        (made,) = target.glob("*.whl")
        return Path(shutil.move(made, kept / made.name))


def _unpack(target: Path) -> None:
    archive = subprocess.run(["git", "-C", str(ROOT), "archive", BEFORE], check=False, capture_output=True)
    if archive.returncode:
        raise NoHistory(archive.stderr.decode(errors="replace").strip())
    target.mkdir()
    with tempfile.TemporaryFile() as file:
        file.write(archive.stdout)
        file.seek(0)
        with tarfile.open(fileobj=file) as members:
            members.extractall(target, filter="data")


def environment_before(folder: Path) -> Path:
    """The `bin` folder of a new environment with the wheel of the version before; it borrows this one's libraries. Raises
    NoHistory."""
    wheel = wheel_before()
    venv.create(folder, with_pip=False)
    pip = [sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python"), "--disable-pip-version-check"]
    subprocess.run([*pip, "install", "--quiet", "--no-index", "--no-deps", str(wheel)], check=True)
    subprocess.run([*pip, "install", "--quiet", "--no-deps", *GIVEN_UP], check=True)
    _borrow(folder)
    return folder / "bin"


def environment_of(tree: Path, folder: Path) -> Path:
    """The `bin` folder of a new environment in which Plugmesh is what lies in `tree`."""
    venv.create(folder, with_pip=False)
    _borrow(folder, tree)
    command = folder / "bin" / "plugmesh"
    lines = (f"#!{folder}/bin/python", "import sys", "from plugmesh.cli.main import main", "sys.exit(main())", "")
    command.write_text("\n".join(lines))
    command.chmod(0o755)
    return folder / "bin"


def next_version(folder: Path, number: int, beside: int, bin: Path) -> Path:
    """A version with the schema `number`, made of this checkout: `folder` is where its code comes to lie, `bin` its environment,
    whose `bin` folder is returned. The migrations after today's add things; the newest is for processes that know `beside`."""
    for package in PACKAGES:
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("*.pyc.*"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    for made in range(int(HEAD) + 1, number + 1):
        path = folder / "plugmesh/state/migrations/versions" / f"{made:04}_next.py"
        path.write_text(MIGRATION.format(made=made, down=made - 1, beside=beside if made == number else made - 1))
    _replace(folder / "plugmesh/state/migrate.py", f'HEAD = "{HEAD}"', f'HEAD = "{number:04}"')
    _replace(folder / "plugmesh/__init__.py", f'"{__version__}"', f'"0.{number - 3}.0"')
    # It works with what is new: its schedulers write which build they are.
    last = '    Column("draining", Integer, nullable=False, server_default="0"),\n'
    _replace(folder / "plugmesh/state/schema.py", last, f'{last}    Column("build_{number:04}", string(16)),\n')
    values = '"draining": int(draining)'
    _replace(folder / "plugmesh/state/schedulers.py", values, f'{values}, "build_{number:04}": "next"')
    return environment_of(folder, bin)


def _replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert text.count(old) == 1, f"{path} has {old!r} {text.count(old)} times"
    path.write_text(text.replace(old, new))


def _borrow(home: Path, *before: Path) -> None:
    """Paths that a .pth file adds come after site-packages, in their order; .pth files inside them (the editable checkout) are
    not read."""
    theirs = sysconfig.get_path("purelib", vars={"base": str(home), "platbase": str(home)})
    paths = [str(path) for path in (*before, Path(sysconfig.get_path("purelib")))]
    (Path(theirs) / "borrowed.pth").write_text("\n".join(paths) + "\n")
