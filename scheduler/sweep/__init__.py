"""Retention: what nobody needs any more is marked, and later deleted, a little at a time."""
