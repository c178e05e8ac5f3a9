"""What pandas can do with a frame, it can do with the read-only one that a module is handed, and with the same result."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from module_sdk.dataframes.adapters import adapter_for
from module_sdk.dataframes.pandas_frames import RowIndex

N = 40
TABLE = pa.table(
    {
        "i": pa.array(np.arange(N) * 7 % 11),
        "f": pa.array(np.arange(N) * 0.5 % 3),
        "b": pa.array(np.arange(N) % 3 == 0),
        "t": pa.array(np.arange(N) * 3_600_000_000, pa.timestamp("us")),
        "c": pa.chunked_array([[f"c{at % 4}" for at in range(N)]]).dictionary_encode(),
        "n": pa.chunked_array([[None if at % 5 == 0 else f"c{at % 4}" for at in range(N)]]).dictionary_encode(),
        "s": pa.array([f"s{at % 6}" for at in range(N)]),
    }
)
OPERATIONS: dict[str, Callable[[pd.DataFrame], Any]] = {
    "describe": lambda f: f.describe(include="all"),
    "sort": lambda f: f.sort_values(["c", "f"], kind="stable"),
    "group": lambda f: f.groupby("c", observed=True)[["i", "f"]].agg(["sum", "mean", "first", "nunique"]),
    "group with missing": lambda f: f.groupby("n", observed=False, dropna=False).f.sum(),
    "transform": lambda f: f.groupby("c", observed=True).f.transform("cumsum"),
    "rank": lambda f: f.groupby("b").f.rank(),
    "merge": lambda f: f.merge(f.drop_duplicates("c")[["c", "i"]], on="c", how="left"),
    "merge of times": lambda f: pd.merge_asof(f, f[["t", "i"]].iloc[::3], on="t"),
    "pivot": lambda f: f.pivot_table(index="c", columns="b", values="f", aggfunc="mean", observed=True),
    "crosstab": lambda f: pd.crosstab(f.c, f.n),
    "value counts": lambda f: f.n.value_counts(dropna=False).sort_index(),
    "rolling": lambda f: f[["i", "f"]].rolling(3).mean(),
    "ewm": lambda f: f.f.ewm(span=4).mean(),
    "resample": lambda f: f.set_index("t").f.resample("6h").sum(),
    "shift": lambda f: f.shift(2),
    "diff": lambda f: f[["i", "f", "t"]].diff(),
    "cut": lambda f: pd.cut(f.f, 3).astype(str),
    "quantiles": lambda f: pd.qcut(f.f.rank(method="first"), 4, labels=False),
    "where": lambda f: f.where(f.i > 3),
    "mask": lambda f: f[["i", "f"]].mask(f.b, -1),
    "replace": lambda f: f.replace({"i": {3: 99}}),
    "fill": lambda f: f.n.cat.add_categories("none").fillna("none"),
    "categories": lambda f: f.n.cat.remove_categories("c1"),
    "as text": lambda f: f.n.astype(str),
    "dummies": lambda f: pd.get_dummies(f[["c", "n"]]),
    "factorize": lambda f: pd.Series(pd.factorize(f.n)[0]),
    "isin": lambda f: f.c.isin(["c1", "c2"]),
    "map": lambda f: f.c.map({"c0": 0, "c1": 1}),
    "concat": lambda f: pd.concat([f, f], ignore_index=True),
    "melt": lambda f: f.melt(id_vars="i", value_vars=["f", "b"]),
    "duplicated": lambda f: f.duplicated(["c", "b"]),
    "interpolate": lambda f: f.f.mask(f.b).interpolate(),
    "clip": lambda f: f.f.clip(0.5, 2),
    "cumulate": lambda f: f[["i", "f"]].cumsum(),
    "search": lambda f: pd.Series(f.i.sort_values().searchsorted([2, 5])),
    "apply": lambda f: f.apply(lambda row: row.i + row.f, axis=1),
    "eval": lambda f: f.eval("z = i * f"),
    "correlate": lambda f: f[["i", "f"]].corr(),
    "time of day": lambda f: f.t.dt.hour,
    "stack": lambda f: f[["i", "f"]].stack(),
    "reindex": lambda f: f.reindex([3, 1, 99]),
    "numpy": lambda f: pd.Series(np.sort(f.f.to_numpy())),
    "iterate": lambda f: pd.Series([row.i for row in f.itertuples()]),
}


@pytest.mark.parametrize("numbered", [False, True])
@pytest.mark.parametrize("name", OPERATIONS)
def test_read_only_frame_works_as_any_other(name: str, numbered: bool) -> None:
    rows = RowIndex(N) if numbered else None
    frame = adapter_for(pd.DataFrame).hand_over(TABLE, rows=rows).native
    other = pd.DataFrame({label: pd.Series(series.array.copy()) for label, series in frame.items()})
    found, expected = OPERATIONS[name](frame), OPERATIONS[name](other)
    same = pd.testing.assert_frame_equal if isinstance(found, pd.DataFrame) else pd.testing.assert_series_equal
    same(found, expected, check_index_type=False)
