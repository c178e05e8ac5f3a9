"""The processes of a server: `plugmesh up`, and what the roles of `plugmesh serve` have in common with it."""
