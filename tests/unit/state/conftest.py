"""Databases of every kind."""

from tests.databases import database_url, kept_databases, server_url

__all__ = ["database_url", "kept_databases", "server_url"]
