"""A module that says which version of the SDK runs it."""

import time
from importlib.metadata import version

import pyarrow as pa

from module_sdk import module, serve


@module("busy.work")
def work(*, n: int, ms: int = 20) -> pa.Table:
    """One row."""
    time.sleep(ms / 1000)
    return pa.table({"n": [n], "sdk": [version("plugmesh")]})


if __name__ == "__main__":
    serve(work)
