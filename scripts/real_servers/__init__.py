"""Real servers for tests, without containers and without an init system: Python's standard library only.

`scripts/servers` is the command. A server is one file here and one line in `catalog.py`.
"""
