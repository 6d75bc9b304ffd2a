"""A child's output: lines, the ring buffer and the log files."""
