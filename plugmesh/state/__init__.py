"""The truth: runs, events, steps, shards, contracts and files in SQL, behind named transactions."""
