"""How a module is run: command, environment and configuration."""
