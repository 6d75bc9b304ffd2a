"""Install, upgrade and uninstall, with health gate and rollback."""
