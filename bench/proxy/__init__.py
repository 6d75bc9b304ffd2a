"""The reverse proxy beside its peers: the same module behind each, visited in turn."""
