"""The image in containers, by podman (`tests/live/engine.py`)."""
