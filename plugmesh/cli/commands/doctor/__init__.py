"""`plugmesh doctor`: facts are gathered (facts), judged by pure functions (checks), and shown (command)."""
