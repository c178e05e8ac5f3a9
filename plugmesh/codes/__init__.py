"""Every error code of Plugmesh, declared once: what it means, why it happens, what to do. The docs are made from it."""
