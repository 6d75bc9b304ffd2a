"""The other half of a link: one module alone on a machine, steered by the hub that was paired with it."""
