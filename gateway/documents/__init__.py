"""What answers look like, for the description of the API: a model for each, with an example. Nothing is validated by them
while the gateway runs; tests compare them with what it answers."""
