"""The one HTTP client of the servers: it looks where it goes before it connects."""
