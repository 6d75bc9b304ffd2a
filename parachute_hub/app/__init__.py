"""Composition root: creates all objects, connects them, and runs them as one service."""
