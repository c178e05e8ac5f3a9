"""The Bus port and its drivers: one file a driver, chosen by URL scheme."""
