"""Tokens: issuing, refreshing, verifying, revoking, and the signing keys."""
