"""Faults of modules on real processes: `python -m tests.live.faults` (smoke size), `--full` (by hand)."""
