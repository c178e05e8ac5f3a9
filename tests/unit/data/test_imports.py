"""What the scheduler and the gateway import must not bring pyarrow with it."""

import subprocess
import sys
from pathlib import Path

import pytest

LIGHT = ("reference", "check", "types", "type_parser", "schema", "digest")


@pytest.mark.parametrize("module", LIGHT)
def test_import_brings_no_pyarrow(module: str) -> None:
    script = f"import sys, plugmesh.data.{module}; print('pyarrow' in sys.modules)"
    root = Path(__file__).parents[3]
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=root)
    assert done.stdout.strip() == "False"
