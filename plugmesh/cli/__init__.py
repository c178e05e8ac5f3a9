"""The `plugmesh` command: the composition root, the only place that may import every component."""
