"""The `parachute` command: a client of the running hub's HTTP API."""
