"""Signing in a device or program without a browser of its own (RFC 8628), and confirming what the command does."""
