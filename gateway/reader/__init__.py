"""The reader: child processes that decode data for the gateway. `pool` is the gateway's side; the others run in the child."""
