"""Builds the command line of a child, tags its environment, and checks preconditions."""

import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from parachute_hub.supervise.model import CannotLaunch, Launch
from parachute_hub.supervise.process.process_tags import VARIABLE, ProcessTag
from parachute_hub.system.records import frozen

# Raise the OOM score, which is inherited, so that the kernel kills a module rather than the hub. A confined child
# cannot; `confinement.kernel` does it from outside. All output goes into one pipe, so that lines keep their order.
# It begins with a line on stdin, which comes once its parent is the hub's main thread: that is whose end kills it.
# Redirecting stdin instead of closing it keeps descriptor 0 from being reused for the first file that the module opens.
_SHELL = (
    "read -r _ || exit 1; umask 077; echo 500 2>/dev/null >/proc/self/oom_score_adj; "
    'cd "$0" && exec "$@" </dev/null 2>&1'
)
_SESSION = "import os, sys; os.setsid(); os.execv(sys.argv[1], sys.argv[1:])"
# Magic numbers of executables: ELF, scripts, and four Mach-O variants.
_PROGRAM = (b"\x7fELF", b"#!", b"\xcf\xfa\xed\xfe", b"\xce\xfa\xed\xfe", b"\xca\xfe\xba\xbe", b"\xca\xfe\xba\xbf")


@frozen
class Tools:
    """Absolute paths of util-linux programs, None where missing (macOS)."""

    setsid: str | None
    setpriv: str | None


def find_tools() -> Tools:
    """Look the programs up once, at startup."""
    linux = sys.platform == "linux"
    return Tools(shutil.which("setsid") if linux else None, shutil.which("setpriv") if linux else None)


def command(launch: Launch, tools: Tools) -> tuple[str, ...]:
    """The full argument list: shell, own session, no new privileges, killed with the hub, then the module.

    Each program execs the next, so the process id stays the same and equals the group and session id.
    """
    session = (tools.setsid,) if tools.setsid else (sys.executable, "-I", "-S", "-c", _SESSION)
    lessened = (tools.setpriv, "--no-new-privs", "--pdeathsig", "KILL", "--") if tools.setpriv else ()
    return ("/bin/sh", "-c", _SHELL, launch.cwd, *session, *lessened, *launch.argv)


def environment(launch: Launch, mark: ProcessTag) -> Mapping[str, str]:
    """The launch's environment with the process tag added."""
    return {**launch.env, VARIABLE: str(mark)}


def preflight(launch: Launch) -> None:
    """Check for what would otherwise be exit code 126 or 127. Raises CannotLaunch."""
    program = Path(launch.argv[0])
    detail = {"binary": launch.argv[0]}
    if not Path(launch.cwd).is_dir():
        raise CannotLaunch(
            "missing_package",
            f"The folder {launch.cwd} is missing. Install {launch.short} again.",
        )
    if not program.is_file():
        raise CannotLaunch(
            "missing_dependency",
            f"The program {program} is missing. Install it, then start {launch.short} again.",
            {**detail, "why": None, "docs_url": None, "install": {}, "sysadmin_hint": None},
        )
    if not os.access(program, os.X_OK):
        raise CannotLaunch(
            "non_executable",
            f"The file {program} is not executable. Run: chmod +x {program}",
            detail,
        )
    try:
        with program.open("rb") as file:
            head = file.read(4)
    except OSError as error:
        # Anything else, such as too many open files, passes.
        kind = "non_executable" if isinstance(error, PermissionError) else "module_op_failed"
        raise CannotLaunch(kind, f"{program} cannot be read: {error.strerror}.", detail) from None
    if not head.startswith(_PROGRAM):
        raise CannotLaunch("non_executable", f"The file {program} is not a program. Install it again.", detail)
