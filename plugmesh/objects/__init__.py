"""The ObjectStore port and its drivers: immutable bytes under keys."""
