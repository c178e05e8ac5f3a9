"""Databases on servers."""

from tests.databases import kept_databases, server_url

__all__ = ["kept_databases", "server_url"]
