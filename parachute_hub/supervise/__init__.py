"""A module's process: one life cycle machine each, readiness, liveness, memory, logs."""
