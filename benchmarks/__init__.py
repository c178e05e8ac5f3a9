"""What Plugmesh costs: workloads on real processes, with the machine's floor measured in the same run."""
