"""A module that takes its time, so that its instance can be ended meanwhile. One slot: it holds one step, the others wait."""

import time

from module_sdk import module, serve


@module("bench.hold")
def hold(*, seconds: float = 3600.0) -> int:
    """A number, after so long. It has an output: a step without one would be a sink, and wait out its lease."""
    time.sleep(seconds)
    return 1


if __name__ == "__main__":
    serve(hold, slots=1)
