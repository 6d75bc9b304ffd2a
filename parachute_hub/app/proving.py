"""Whether the hub that is installed now would start here: asked of it before it takes the place of a running one."""

import os
import subprocess
from typing import Any

from parachute_hub import __version__
from parachute_hub.app.handover import CHECK, FORMAT, VARIABLE, own_command
from parachute_hub.system import strict_json
from parachute_hub.system.records import frozen
from parachute_hub.system.strict_json import BadJson

PROVE_SECONDS = 120.0
_SAID_LIMIT = 64 * 1024


class NotProven(Exception):
    """It would not start, or cannot take over. The text is for the owner."""


@frozen
class Proven:
    """The version that would start."""

    version: str


def asked() -> bool:
    """Whether this process is only to say whether it would start."""
    return os.environ.get(VARIABLE) == CHECK


def prove() -> Proven:
    """In the old version: run the command of this hub again, for its answer. Blocks. Raises NotProven."""
    environ = {**os.environ, VARIABLE: CHECK, "PARACHUTE_LOCK_WAIT": "0"}
    try:
        done = subprocess.run(
            own_command(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=environ,
            timeout=PROVE_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise NotProven(f"It did not answer within {PROVE_SECONDS:.0f} s.") from None
    except OSError as error:
        raise NotProven(f"It cannot be run: {error.strerror}.") from None
    return understood(done.returncode, done.stdout, done.stderr)


def understood(code: int, said: bytes, errors: bytes) -> Proven:
    """The answer of the new version. Raises NotProven.

    >>> understood(0, b'{"version": "9.1", "format": 1}', b"")
    Proven(version='9.1')
    """
    if code:
        last = errors.decode("utf-8", "replace").strip().rpartition("\n")[2][:500]
        raise NotProven(last.removeprefix("parachute: ") or f"It ended with exit code {code}.")
    try:
        told: Any = strict_json.read_strictly(said, limit=_SAID_LIMIT)
        version, format_ = told["version"], told["format"]
    except (BadJson, KeyError, TypeError):
        raise NotProven("Its answer cannot be read.") from None
    if format_ != FORMAT:
        raise NotProven(f"Version {version} cannot take over from {__version__}. Stop the hub and start it again.")
    return Proven(str(version))
