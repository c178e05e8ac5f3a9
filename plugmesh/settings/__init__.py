"""Everything that can be set about a server: one table, and where its values come from."""
