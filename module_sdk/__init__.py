"""What a module author imports: one decorator, `serve`, and a few words for params and errors.

Nothing heavy is imported before it is used: `import module_sdk` loads neither pyarrow nor pydantic nor asyncio.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from module_sdk.context import Context as Context
    from module_sdk.context import FileWriter as FileWriter
    from module_sdk.decorator import Module as Module
    from module_sdk.decorator import module as module
    from module_sdk.errors import ConnectionFailed as ConnectionFailed
    from module_sdk.errors import FatalError as FatalError
    from module_sdk.errors import TransientError as TransientError
    from module_sdk.files import File as File
    from module_sdk.mesh_types import Column as Column
    from module_sdk.mesh_types import Columns as Columns
    from module_sdk.mesh_types import Connection as Connection
    from module_sdk.mesh_types import Expression as Expression
    from module_sdk.mesh_types import OfPort as OfPort
    from module_sdk.mesh_types import Secret as Secret
    from module_sdk.planning import Plan as Plan
    from module_sdk.serving import serve as serve
    from plugmesh.contracts.module import Resources as Resources
    from plugmesh.contracts.plan import Predicate as Predicate
    from plugmesh.data.outside.source import Source as Source
    from plugmesh.errors import Cancelled as Cancelled
    from plugmesh.errors import ContractError as ContractError
    from plugmesh.errors import DataError as DataError
    from plugmesh.errors import DataMismatch as DataMismatch
    from plugmesh.errors import FileUnreadable as FileUnreadable

_HOMES = {
    "Cancelled": "plugmesh.errors",
    "Column": "module_sdk.mesh_types",
    "Columns": "module_sdk.mesh_types",
    "Connection": "module_sdk.mesh_types",
    "ConnectionFailed": "module_sdk.errors",
    "Context": "module_sdk.context",
    "ContractError": "plugmesh.errors",
    "DataError": "plugmesh.errors",
    "DataMismatch": "plugmesh.errors",
    "Expression": "module_sdk.mesh_types",
    "FatalError": "module_sdk.errors",
    "File": "module_sdk.files",
    "FileUnreadable": "plugmesh.errors",
    "FileWriter": "module_sdk.context",
    "Module": "module_sdk.decorator",
    "OfPort": "module_sdk.mesh_types",
    "Plan": "module_sdk.planning",
    "Predicate": "plugmesh.contracts.plan",
    "Resources": "plugmesh.contracts.module",
    "Secret": "module_sdk.mesh_types",
    "Source": "plugmesh.data.outside.source",
    "TransientError": "module_sdk.errors",
    "module": "module_sdk.decorator",
    "serve": "module_sdk.serving",
}

__all__ = sorted(_HOMES)  # noqa: PLE0605  the table above is the list


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'module_sdk' has no attribute {name!r}; it has {', '.join(sorted(_HOMES))}")
    value = getattr(importlib.import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
