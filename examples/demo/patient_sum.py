"""A module of the demo: adds up, and takes its time, so that there is time to kill something meanwhile."""

import time

import pyarrow as pa

from module_sdk import module, serve

PARTS = 20


@module(
    "demo.patient_sum",
    version="1.0.0",
    inputs={"flights": {"dest": "string", "distance": "int64"}},
    outputs={"out": {"dest": "string", "miles": "int64"}},
)
def patient_sum(flights: pa.Table, *, seconds: float = 4.0) -> pa.Table:
    """Add up `distance` by `dest`, in `seconds`."""
    miles: dict[str, int] = {}
    size = -(-flights.num_rows // PARTS)
    for part in range(PARTS):
        piece = flights.slice(part * size, size).group_by("dest").aggregate([("distance", "sum")])
        for dest, total in zip(piece["dest"].to_pylist(), piece["distance_sum"].to_pylist(), strict=True):
            miles[dest] = miles.get(dest, 0) + total
        print(f"{part + 1} of {PARTS} parts")
        time.sleep(seconds / PARTS)
    return pa.table({"dest": list(miles), "miles": pa.array(miles.values(), pa.int64())})


if __name__ == "__main__":
    serve(patient_sum)
