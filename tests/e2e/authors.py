"""Module files as authors write them, and flows that use them."""

import json

GREET = '''
import pyarrow as pa
from module_sdk import module, serve


@module("{name}", version="{version}")
def greet(*, text: str = "hello") -> pa.Table:
    """Say something."""
    print("saying", text)
    return pa.table({{"text": [text]}})


if __name__ == "__main__":
    serve(greet)
'''

SLOW = '''
import os
import time
from pathlib import Path

import pyarrow as pa
from module_sdk import module, serve


@module("slow.count")
def count(*, gate: str, upto: int = 3) -> pa.Table:
    """Count once the file `gate` is there; notes each time that it was begun."""
    with Path(gate + ".begun").open("a") as begun:
        begun.write(f"{os.getpid()}\\n")
    while not Path(gate).exists():
        time.sleep(0.02)
    return pa.table({"n": list(range(upto))})


if __name__ == "__main__":
    serve(count)
'''

FAILING = '''
import pyarrow as pa
from module_sdk import module, serve


@module("bad.divide")
def divide(*, by: int = 0) -> pa.Table:
    """Divide."""
    print("about to divide")
    return pa.table({"n": [1 // by]})


if __name__ == "__main__":
    serve(divide)
'''


def greet(name: str, version: str = "0.1.0") -> str:
    """A module that returns one row."""
    return GREET.format(name=name, version=version)


def flow_of(module: str, **params: object) -> str:
    """A flow with one node `it` and one output `out`."""
    return f"flow: e2e/one\nnodes:\n  it: {{module: {module}, params: {json.dumps(params)}}}\noutputs:\n  out: it\n"
