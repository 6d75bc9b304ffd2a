"""Composition root: creates every object, connects them, and runs them as one service."""
