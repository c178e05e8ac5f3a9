"""SQL expressions over the columns of one table: read, checked, and evaluated by a DuckDB that can reach nothing else.

Modules use them through `module_sdk.expressions`, previews in the gateway's reader process.
"""
