"""What people see: numbers, tables, runs and steps as text."""
