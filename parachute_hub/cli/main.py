"""Entry point of the `parachute` command."""

import json
import os
import sys
from collections.abc import Sequence

from parachute_hub.cli.client import CommandError
from parachute_hub.cli.parser import parser
from parachute_hub.settings import BadSetting


def main(words: Sequence[str] | None = None) -> int:
    """Run one command. 0: done; 1: it failed; 2: wrong words; 3: no hub is running. Never a traceback."""
    arguments = parser().parse_args(words)
    try:
        code: int = arguments.action(arguments)
        sys.stdout.flush()
        return code
    except CommandError as error:
        if arguments.json:
            print(json.dumps({"error": str(error), "code": error.code}, indent=2))
        print(f"parachute: {error}", file=sys.stderr)
        return error.code
    except BadSetting as error:
        print(f"parachute: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader (head, less) has gone; say nothing to a closed pipe at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        print(f"parachute: {error.filename}: {error.strerror}.", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
