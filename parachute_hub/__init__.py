"""Parachute Hub: installs, supervises, routes to and signs in for small modules, in one process."""

__version__ = "0.6.0"
