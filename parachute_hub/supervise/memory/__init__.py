"""Memory limits: measuring, and restarting the module that is over its limit."""
