"""Copies of the product's code that may be broken by the patches of tests/mutants."""

import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = ("plugmesh", "module_sdk", "registry", "scheduler", "gateway")


def copy_code(folder: Path) -> None:
    """What is compiled comes with it, and is valid as long as its source is."""
    for package in PACKAGES:
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("*.pyc.*"))  # half written


def break_code(folder: Path, name: str) -> None:
    """Apply the patch of this name to a copy."""
    patch = ROOT / f"tests/mutants/{name}.patch"
    command = ["git", "apply", "--unsafe-paths", f"--directory={folder}", str(patch)]
    done = subprocess.run(command, cwd="/", capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{patch} no longer applies to the code; make it anew:\n{done.stderr}"
