"""`python -m parachute_hub [options]`: what `twistd -n --pidfile= parachute` does, in 6 MB less."""

import sys

from parachute_hub.system.libraries import defer_unused


def main() -> None:
    """Run the hub until it is told to stop."""
    defer_unused()
    from twisted.scripts.twistd import run

    sys.argv = ["twistd", "-n", "--pidfile=", "parachute", *sys.argv[1:]]
    run()


if __name__ == "__main__":
    main()
