"""The JSON APIs and the app for administration."""
