"""The OAuth issuer that modules and MCP clients trust."""
