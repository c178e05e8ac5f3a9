"""`scripts/bench --distributed`: the workloads, and what only a mesh of several processes has, on real servers."""
