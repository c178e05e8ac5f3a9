"""Arrow tables as the frames that modules ask for, and back: one file for each library, one table of all of them."""
