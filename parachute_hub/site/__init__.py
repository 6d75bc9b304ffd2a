"""What every area of the hub's own site shares: errors, credentials, health, well-known documents."""
