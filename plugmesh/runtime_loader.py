"""The runtime of a process: the real machine, unless a test names another one."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Mapping

from plugmesh.errors import ConfigurationError
from plugmesh.runtime import Runtime, SystemRuntime

VARIABLE = "PLUGMESH_RUNTIME"
"""`path/to/file.py:factory`, a callable without arguments that makes a `Runtime`. For tests only."""


def load_runtime(environment: Mapping[str, str] = os.environ) -> Runtime:
    """The runtime that this process is to use. Raises `ConfigurationError` when the variable names none."""
    named = environment.get(VARIABLE)
    if not named:
        return SystemRuntime()
    path, _, factory = named.rpartition(":")
    spec = importlib.util.spec_from_file_location("_plugmesh_runtime", path) if path else None
    if spec is None or spec.loader is None:
        raise ConfigurationError(f"{VARIABLE}={named!r}: write path/to/file.py:factory, or unset it")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except OSError as error:
        raise ConfigurationError(f"{VARIABLE}={named!r}: {error.strerror}: {path}") from error
    make = getattr(module, factory, None)
    if not callable(make):
        raise ConfigurationError(f"{VARIABLE}={named!r}: {path} has no function {factory!r}")
    runtime: Runtime = make()
    return runtime
