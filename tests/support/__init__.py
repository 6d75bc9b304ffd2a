"""Verified fakes and test fixtures, checked against the real implementations."""
