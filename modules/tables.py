"""What the modules' signatures share: a name for tables that does not import Arrow, and an empty list of columns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from module_sdk import Columns

if TYPE_CHECKING:
    from pyarrow import Schema, Table
else:
    # A port annotated `Any` is given a `pyarrow.Table`. Contracts are derived without importing Arrow (0.1 to 0.3 s).
    Schema = Table = Any

Schemas = Mapping[str, Schema]
"""What a plan is told of the inputs."""

NO_COLUMNS = Columns()
"""The default of a param that takes columns."""

__all__ = ["NO_COLUMNS", "Schemas", "Table"]
