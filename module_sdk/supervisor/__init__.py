"""The process that speaks for modules: bus, heartbeat, leases. It never runs an author's code."""
