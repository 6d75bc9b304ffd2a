"""Each check against the fault that it exists for."""
