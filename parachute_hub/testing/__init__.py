"""Verified fakes: small stand-ins that tests of every area use, themselves tested against the real thing."""
