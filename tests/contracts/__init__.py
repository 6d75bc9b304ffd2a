"""Fakes held against what they stand for: each question is asked of both, and both must answer alike."""
