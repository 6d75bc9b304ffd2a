"""Whatever a stranger, a client or a page sends: no server error, no traceback, no growth."""
