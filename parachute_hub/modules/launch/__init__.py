"""How a module runs: command, environment and configuration."""
