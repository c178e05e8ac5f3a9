"""What it costs to hand large tables from step to step, beside the same work done in one process."""
