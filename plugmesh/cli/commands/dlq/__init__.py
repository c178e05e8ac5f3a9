"""`plugmesh dlq …`: the rows that steps rejected."""
