"""What module authors use without a mesh: new modules from a template, and trials of them in fresh processes."""
