"""Entry point of the `parachute` command."""

import json
import os
import sys
from collections.abc import Sequence

from parachute_hub.cli import completion
from parachute_hub.cli.client import CommandError
from parachute_hub.cli.parser import parser
from parachute_hub.settings import BadSetting


def main(words: Sequence[str] | None = None) -> int:
    """Run one command. Exit codes: 0 success, 1 failure, 2 invalid arguments, 3 no running hub. Never a traceback."""
    top = parser()
    if "_ARGCOMPLETE" in os.environ:
        completion.complete(top)
    arguments = top.parse_args(words)
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
        # The reader (head, less) exited; avoid an error message for the closed pipe at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        print(f"parachute: {error.filename}: {error.strerror}.", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
