"""The phone book: which instances live, which modules they serve, and which version a flow gets."""
