"""Backups of the home: encrypted archives, destinations, schedule, verification and restore."""
