"""Modules that run on another machine: the links to them, their state, and moves there and back."""
