"""Prices with tax: a column is added, all others pass through."""

import pandas as pd

from module_sdk import module, serve


@module(
    "orders.price_total",
    version="1.2.0",
    inputs={"orders": {"price": "float64", "qty": "int64"}},
    outputs={"priced": {"...": "orders", "total": "float64"}},
    rows="same",
)
def price_total(orders: pd.DataFrame, *, tax: float = 0.2) -> pd.DataFrame:
    """Add the total price of each order line."""
    return orders.assign(total=orders.price * orders.qty * (1 + tax))


if __name__ == "__main__":
    serve(price_total)
