"""Frozen, versioned data that crosses a process. No I/O, no asyncio, no Arrow."""
