"""Logs of a process: the standard `logging`, as lines for people or as JSON, on stderr or in files."""
