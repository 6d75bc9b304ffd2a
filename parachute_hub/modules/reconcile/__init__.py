"""Detecting and repairing drift between services.json, ports and running modules."""
