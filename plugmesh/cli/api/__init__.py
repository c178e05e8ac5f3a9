"""The mesh as commands use it: over HTTP."""
