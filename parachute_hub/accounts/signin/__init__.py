"""Signing in: passwords, second factors, step-up and throttling."""
