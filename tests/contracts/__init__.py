"""Contract tests: a fake and the real implementation must give the same results."""
