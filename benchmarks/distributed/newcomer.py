"""A module that joins while a run waits for it."""

from module_sdk import module, serve


@module("bench.newcomer", outputs={})
def newcomer() -> None:
    """No input, no output."""


if __name__ == "__main__":
    serve(newcomer)
