"""The `parachute` command: a client of the running hub, on the same machine, with the operator token."""
