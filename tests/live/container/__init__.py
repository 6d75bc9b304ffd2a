"""Container tests with podman (`tests/live/engine.py`)."""
