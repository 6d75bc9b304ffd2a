"""twistd with a hub that lets every token through to the modules: what the check of tokens is measured against."""

from typing import Any

from twisted.scripts.twistd import run

from parachute_hub.app import compose
from parachute_hub.proxy.model import NoTokenChecker


def main() -> None:
    """Takes the words of `twistd`."""
    replaced: Any = compose
    replaced.ProxyGuard = lambda guard: NoTokenChecker()
    run()


if __name__ == "__main__":
    main()
