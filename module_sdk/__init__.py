"""What a module author imports."""
