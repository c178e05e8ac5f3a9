"""State and objects of a mesh as they belong together, in a folder, and a mesh made from that."""
