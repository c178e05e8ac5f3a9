"""References and Arrow: writing and reading tables in the object store, and everything about columns and types.

`table` and `columns` import pyarrow at once; the other modules when it is first needed.
"""
