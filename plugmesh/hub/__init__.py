"""The embedded hub: one WebSocket a process, over which the embedded bus and discovery speak."""
