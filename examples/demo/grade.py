"""A module of the demo: a grade for each row. It is started while a run is waiting for it."""

import pyarrow as pa
import pyarrow.compute as pc

from module_sdk import module, serve


@module(
    "demo.grade",
    version="1.0.0",
    inputs={"airports": {"on_time": "float64"}},
    outputs={"out": {"...": "airports", "grade": "string"}},
    rows="same",
)
def grade(airports: pa.Table, *, good: float = 0.75) -> pa.Table:
    """Say `good` where the part of flights on time is large enough, else `poor`."""
    grades = pc.if_else(pc.greater_equal(airports["on_time"], good), "good", "poor")
    return airports.append_column("grade", grades)


if __name__ == "__main__":
    serve(grade)
