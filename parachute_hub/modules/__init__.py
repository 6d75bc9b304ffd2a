"""A module's code and record: services.json, manifests, the versioned store, install and removal."""
