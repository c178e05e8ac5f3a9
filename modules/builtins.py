"""All built-in modules, for the one process that serves them."""

from __future__ import annotations

from typing import Any

from module_sdk.decorator import Module
from modules.io_read import read
from modules.io_write import write
from modules.sql_write import sql_write
from modules.table_aggregate import aggregate
from modules.table_derive import derive
from modules.table_filter import filter_rows
from modules.table_join import join
from modules.table_limit import limit
from modules.table_select import select
from modules.table_sort import sort

BUILTINS: tuple[Module[..., Any], ...] = (
    read,
    write,
    sql_write,
    select,
    filter_rows,
    derive,
    aggregate,
    join,
    sort,
    limit,
)
