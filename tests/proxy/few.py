"""Hypothesis settings for these tests: a small, fixed set of examples."""

from hypothesis import HealthCheck, settings


def few(examples: int) -> settings:
    """This many examples, the same in every run."""
    return settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=(HealthCheck.too_slow, HealthCheck.data_too_large),
    )
