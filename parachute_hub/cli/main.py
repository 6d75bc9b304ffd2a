"""Entry point of the `parachute` command."""

import errno
import json
import os
import sys
from argparse import Namespace
from collections.abc import Sequence
from typing import Final

from parachute_hub.cli import completion
from parachute_hub.cli.client import OTHER_VERSION, CommandError
from parachute_hub.cli.meant import with_a_module_meant
from parachute_hub.cli.parser import first_word, parser
from parachute_hub.cli.terminal import RED, terminal
from parachute_hub.cli.which_hub import check
from parachute_hub.settings import BadSetting
from parachute_hub.system.log_lines import visible
from parachute_hub.system.streams import complete_streams

_HINTS: Final = {
    **dict.fromkeys((errno.EACCES, errno.EPERM), "Run this as the user it belongs to, or choose another place."),
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT), "Make room on the disk, then try again."),
}


def main(words: Sequence[str] | None = None) -> int:
    """Run one command. Exit codes: 0 success, 1 failure, 2 invalid arguments, 3 no running hub. Never a traceback."""
    complete_streams()
    words = sys.argv[1:] if words is None else words
    if words[:1] == ["help"]:
        words = [*words[1:], "--help"]
    if list(words[:1]) == ["version"]:
        words = ["--version"]
    if "_ARGCOMPLETE" in os.environ:
        completion.complete(parser())
    arguments, more = parser(first_word(words)).parse_known_args(words)
    if more:
        word = f"parachute {arguments.word}"
        _say(f"`{word}` does not take {' '.join(more)}.\n`{word} --help` shows what there is.")
        return 2
    try:
        check(arguments)
        code = _done(arguments)
        sys.stdout.flush()
        return code
    except CommandError as error:
        text = with_a_module_meant(error, arguments)
        if arguments.json:
            print(json.dumps({"error": text, "code": error.code}, indent=2))
        _say(text)
        return error.code
    except BadSetting as error:
        _say(str(error))
        return 2
    except KeyboardInterrupt:
        return 130
    except EOFError:
        _say("The input ended where an answer was needed.")
        return 1
    except BrokenPipeError:
        # The reader (head, less) exited; avoid an error message for the closed pipe at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        hint = _HINTS.get(error.errno or 0, "")
        _say(f"{error.filename2 or error.filename or 'Writing failed'}: {error.strerror}. {hint}".rstrip())
        return 1


def _done(arguments: Namespace) -> int:
    """The exit code. Raises CommandError, also for an answer of the hub that lacks a member."""
    try:
        code: int = arguments.action(arguments)
    except KeyError as missing:
        raise CommandError(OTHER_VERSION.format(f"tells no {missing.args[0]}")) from missing
    return code


def _say(error: str) -> None:
    print(f"{terminal(sys.stderr).paint('parachute:', RED)} {visible(error)}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
