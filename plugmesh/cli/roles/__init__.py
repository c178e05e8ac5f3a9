"""`plugmesh serve`: the parts of a mesh as processes of their own."""
