"""User accounts: first run, sign-in, sessions, second factors, roles."""
