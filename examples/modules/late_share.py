"""The share of late flights for each value of a column; only what polars needs is read."""

import polars as pl

from module_sdk import Column, module, serve


@module("flights.late_share", version="1.0.0")
def late_share(flights: pl.LazyFrame, *, by: Column, delay: Column, limit_min: float = 15.0) -> pl.LazyFrame:
    """The share of flights that were more than `limit_min` minutes late, for each value of the column `by`."""
    late = pl.col(delay) > limit_min
    return flights.group_by(by).agg(late.mean().alias("late_share"), pl.len().alias("flights")).sort(by)


if __name__ == "__main__":
    serve(late_share)
