"""The Discovery port and its drivers: who is there, and who was heard of when."""
