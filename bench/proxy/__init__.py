"""The reverse proxy compared with others: the same module behind each, measured in turn."""
