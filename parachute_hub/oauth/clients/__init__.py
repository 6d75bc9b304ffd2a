"""OAuth clients: registration, metadata documents and connected apps."""
