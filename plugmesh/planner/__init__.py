"""Which columns of which types go through a flow, and which of them somebody uses. Pure; no Arrow."""
