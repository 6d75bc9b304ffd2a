"""Tests of parachute_hub/problems."""
