"""People: first run, sign-in, sessions, second factors, roles."""
