"""Install, upgrade and uninstall, with their health gate and rollback."""
