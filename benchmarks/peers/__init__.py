"""The same small workloads on other systems, each in an environment of its own, side by side with Plugmesh."""
