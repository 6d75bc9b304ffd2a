"""Clients that stop moving, and what they cost."""
