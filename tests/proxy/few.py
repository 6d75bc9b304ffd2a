"""How these tests use hypothesis: a small, fixed set of examples, whatever the machine has to do besides."""

from hypothesis import HealthCheck, settings


def few(examples: int) -> settings:
    """So many examples, the same in every run."""
    return settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=(HealthCheck.too_slow, HealthCheck.data_too_large),
    )
