"""Shared by all areas of the hub's site: errors, credentials, health, well-known documents."""
