"""Tests of parachute_hub/notices."""
