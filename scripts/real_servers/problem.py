"""What the user is told when something cannot be had."""


class Problem(Exception):
    """One or more plain lines: what happened, and what to do next."""
