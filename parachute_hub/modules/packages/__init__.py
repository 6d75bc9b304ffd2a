"""Getting packages: bun, downloads and available updates."""
