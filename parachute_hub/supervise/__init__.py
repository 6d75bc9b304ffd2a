"""Supervision of module processes: a state machine for each, health, memory and logs."""
