"""Faults of modules with real processes: `python -m tests.live.faults` (short) or `--full`."""
