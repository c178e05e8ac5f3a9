"""Takes runs from submitted to ended: the graph walk, placement, leases and the engine that commits them."""
