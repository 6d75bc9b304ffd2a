"""What a package declares: manifest, catalog entry, names, versions, mounts and ports."""
