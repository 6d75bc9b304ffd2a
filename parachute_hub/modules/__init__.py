"""Module code and records: services.json, manifests, the versioned package store, install and removal."""
