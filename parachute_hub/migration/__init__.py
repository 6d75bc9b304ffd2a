"""Moving in from the older hub: its accounts, apps and keys, read from its `hub.db` (docs/migrating.md)."""
