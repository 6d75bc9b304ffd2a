"""The first run: claiming the hub, and the setup wizard."""
