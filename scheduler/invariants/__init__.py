"""What must hold of every committed state, read from SQL and the object store: by tests, and by `plugmesh doctor`."""
