"""The first run: claiming the hub and the set-up wizard."""
