"""The flow file: reading it, checking it, and filling in what a run hands in. Pure: no I/O, no clock."""
