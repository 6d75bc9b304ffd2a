"""What is installed on disk: services.json, records, the package store, snapshots."""
