"""Passkeys (WebAuthn): adding them, signing in and confirming with them."""
