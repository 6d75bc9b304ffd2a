"""The JSON APIs and the app by which an owner runs the hub."""
