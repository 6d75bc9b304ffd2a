"""A hub that passes every token to the modules: the baseline for the cost of token checks."""

from typing import Any

from parachute_hub.__main__ import main as main_of_hub
from parachute_hub.app import compose
from parachute_hub.proxy.model import NoTokenChecker


def main() -> None:
    """Takes the arguments of the hub."""
    replaced: Any = compose
    replaced.ProxyGuard = lambda guard: NoTokenChecker()
    main_of_hub()


if __name__ == "__main__":
    main()
