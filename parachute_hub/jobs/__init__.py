"""Long operations that can be watched, cancelled and undone."""
