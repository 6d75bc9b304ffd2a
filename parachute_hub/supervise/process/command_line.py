"""How a child is started: which programs stand before it, what it is marked with, and what is checked first."""

import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from attrs import frozen

from parachute_hub.supervise.model import CannotLaunch, Launch
from parachute_hub.supervise.process.process_tags import VARIABLE, Mark

# When memory runs out the kernel shall take a module, never the hub; inherited by what the module starts.
# All output goes into one pipe, so that lines keep their order. Redirecting stdin instead of closing it keeps
# descriptor 0 from being given to the first file that the module opens.
_SHELL = 'echo 500 2>/dev/null >/proc/self/oom_score_adj; cd "$0" && exec "$@" </dev/null 2>&1'
_SESSION = "import os, sys; os.setsid(); os.execv(sys.argv[1], sys.argv[1:])"
# First bytes of a program: ELF, a script, and the four of macOS.
_PROGRAM = (b"\x7fELF", b"#!", b"\xcf\xfa\xed\xfe", b"\xce\xfa\xed\xfe", b"\xca\xfe\xba\xbe", b"\xca\xfe\xba\xbf")


@frozen
class Tools:
    """The programs of util-linux on this machine, as absolute paths. None where there are none (macOS)."""

    setsid: str | None
    setpriv: str | None


def find_tools() -> Tools:
    """Look once, at the start."""
    linux = sys.platform == "linux"
    return Tools(shutil.which("setsid") if linux else None, shutil.which("setpriv") if linux else None)


def command(launch: Launch, tools: Tools) -> tuple[str, ...]:
    """The whole argument list: a shell, own session, no new privileges, death with the hub, then the module.

    Each of them execs the next, so the child keeps its process id, which is also its group's and its session's.
    """
    session = (tools.setsid,) if tools.setsid else (sys.executable, "-I", "-S", "-c", _SESSION)
    lessened = (tools.setpriv, "--no-new-privs", "--pdeathsig", "KILL", "--") if tools.setpriv else ()
    return ("/bin/sh", "-c", _SHELL, launch.cwd, *session, *lessened, *launch.argv)


def environment(launch: Launch, mark: Mark) -> Mapping[str, str]:
    """The launch's environment and our mark."""
    return {**launch.env, VARIABLE: str(mark)}


def preflight(launch: Launch) -> None:
    """Check what would otherwise be exit 126 or 127 of a shell. Raises CannotLaunch."""
    program = Path(launch.argv[0])
    detail = {"binary": launch.argv[0]}
    if not Path(launch.cwd).is_dir():
        raise CannotLaunch(
            "missing_package",
            f"The folder {launch.cwd} is not there. Install {launch.short} again.",
        )
    if not program.is_file():
        raise CannotLaunch(
            "missing_dependency",
            f"The program {program} is not there. Install it, then start {launch.short} again.",
            {**detail, "why": None, "docs_url": None, "install": {}, "sysadmin_hint": None},
        )
    if not os.access(program, os.X_OK):
        raise CannotLaunch(
            "non_executable",
            f"The file {program} may not be executed. Run: chmod +x {program}",
            detail,
        )
    try:
        with program.open("rb") as file:
            head = file.read(4)
    except OSError as error:
        raise CannotLaunch("non_executable", f"{program} cannot be read: {error.strerror}.", detail) from None
    if not head.startswith(_PROGRAM):
        raise CannotLaunch("non_executable", f"The file {program} is not a program. Install it again.", detail)
