"""The front: strict HTTP/1.1, routing, and the streaming reverse proxy to modules."""
