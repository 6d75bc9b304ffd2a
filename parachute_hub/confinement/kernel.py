"""Confines child processes with Landlock, seccomp and no_new_privs, set on the thread that starts the child.

All three are per-thread and inherited. So a dedicated thread confines itself, verifies that, and starts the child,
while the hub's other threads are unaffected (docs/decisions/100).
"""

import ctypes
import errno
import os
import platform
import resource
import socket
import stat
import struct
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from attrs import field

from parachute_hub.confinement import rules as rights
from parachute_hub.confinement import seccomp
from parachute_hub.confinement.rules import DEVICES, Rules
from parachute_hub.system.records import frozen

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_ASK_VERSION = 1
_PATH_BENEATH, _NET_PORT = 1, 2
_SECCOMP = {"x86_64": 317, "aarch64": 277}
_SET_MODE_FILTER = 1
_PR_SET_NO_NEW_PRIVS, _PR_CAPBSET_DROP = 38, 24
# The one root capability that a child keeps, since its files may belong to another user.
_DAC_OVERRIDE, _CAPABILITIES = 1, 64


# It takes microseconds; one that is later costs the module a restart when it ends.
_THREAD_SECONDS = 1.0


class NotConfined(Exception):
    """A process could not be confined, or the verification failed. Nothing was started."""


class _Program(ctypes.Structure):
    """`struct sock_fprog`."""

    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


class Calls:
    """System calls without Python bindings. Raises OSError."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL(None, use_errno=True)
        self._library.syscall.restype = ctypes.c_long

    def __call__(self, number: int, *arguments: object) -> int:
        """Arguments are numbers or buffers."""
        words = [ctypes.c_long(each) if isinstance(each, int) else each for each in arguments]
        return self._checked(int(self._library.syscall(ctypes.c_long(number), *words)))

    def no_new_privileges(self) -> None:
        """Keep executed programs from gaining privileges (setuid)."""
        self._checked(int(self._library.prctl(_PR_SET_NO_NEW_PRIVS, *(ctypes.c_ulong(n) for n in (1, 0, 0, 0)))))

    def no_capabilities(self) -> None:
        """Drop root's capabilities before starting a child."""
        for capability in range(_CAPABILITIES):
            if capability != _DAC_OVERRIDE:
                # Fails for all users but root, who alone has any.
                self._library.prctl(_PR_CAPBSET_DROP, *(ctypes.c_ulong(n) for n in (capability, 0, 0, 0)))

    def _checked(self, result: int) -> int:
        if result < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        return result


@frozen
class Kernel:
    """Features of this kernel. `abi` is Landlock's version, 0 for none; `machine` is empty without a filter."""

    abi: int
    machine: str

    @classmethod
    def find(cls) -> "Kernel":
        """Detect them. A kernel or container profile may lack or deny any of them."""
        machine = platform.machine()
        if sys.platform != "linux" or machine not in seccomp.MACHINES:
            return cls(0, "")
        try:
            return cls(Calls()(_CREATE_RULESET, None, 0, _ASK_VERSION), machine)
        except OSError:
            return cls(0, machine)

    @property
    def confines(self) -> bool:
        """True if processes can be kept from each other's files."""
        return self.abi > 0 and bool(self.machine)


@frozen(kw_only=True)
class Confiner:
    """Starts confined processes. `forbidden` are paths that none of them may ever read."""

    kernel: Kernel
    forbidden: tuple[Path, ...]
    calls: Calls = field(factory=Calls)

    def start(self, rules: Rules, spawn: Callable[[], int], release: Callable[[], object] | None = None) -> int:
        """Call `spawn` in a confined thread. It starts a process and returns its id, or 0 if it already ended.

        PR_SET_PDEATHSIG applies to the parent thread (prctl(2)). So the thread lives until the process ends. With
        `release` it ends at once, the kernel makes the main thread the parent, and the process sets PR_SET_PDEATHSIG
        only after `release`. Raises NotConfined, and whatever `spawn` raises.
        """
        if not self.kernel.confines:
            raise NotConfined("this machine cannot separate programs")
        opened = rights.exposed(
            [os.path.realpath(path) for path in (*rules.reads, *rules.lists, *rules.writes)],
            [os.path.realpath(path) for path in self.forbidden],
        )
        if opened is not None:
            raise NotConfined(f"the rules would open {opened}")
        try:
            ruleset = self._ruleset(rules)
        except OSError as error:
            raise NotConfined(f"the kernel refused the rules: {error.strerror}") from None
        try:
            pid = _Starter(lambda: self._confine(ruleset, rules), spawn, stays=release is None).run()
        finally:
            os.close(ruleset)
        if pid:
            _limit(pid, rules)
        if release is not None:
            release()
        return pid

    def _ruleset(self, rules: Rules) -> int:
        abi = self.kernel.abi
        attribute = rights.ruleset(abi, rules)
        ruleset = self.calls(_CREATE_RULESET, attribute, len(attribute), 0)
        try:
            for paths, allowed in (
                (rules.reads, rights.READ),
                (rules.lists, rights.LIST),
                ((*rules.writes, *DEVICES), rights.all_rights(abi)),
            ):
                for path in paths:
                    self._allow_path(ruleset, path, allowed)
            for right, ports in rights.port_rights(abi, rules):
                for port in ports:
                    self.calls(_ADD_RULE, ruleset, _NET_PORT, struct.pack("=QQ", right, port), 0)
        except OSError:
            os.close(ruleset)
            raise
        return ruleset

    def _allow_path(self, ruleset: int, path: str, wanted: int) -> None:
        """A missing path gets no rule, so it stays inaccessible even if it is created later."""
        try:
            descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.EACCES):
                return
            raise
        try:
            folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
            allowed = rights.rights_on(wanted, folder=folder)
            if allowed:
                self.calls(_ADD_RULE, ruleset, _PATH_BENEATH, struct.pack("=Qi", allowed, descriptor), 0)
        finally:
            os.close(descriptor)

    def _confine(self, ruleset: int, rules: Rules) -> None:
        """Confine the calling thread permanently, and verify it by attempting what must fail."""
        machine = self.kernel.machine
        code = seccomp.program(
            machine,
            udp=rules.connect is None,
            change_modes=rules.change_modes,
            truncate=self.kernel.abi >= 3,
        )
        self.calls.no_capabilities()
        self.calls.no_new_privileges()
        self.calls(_RESTRICT_SELF, ruleset, 0)
        filter_program = _Program(len(code) // 8, code)
        self.calls(_SECCOMP[machine], _SET_MODE_FILTER, 0, ctypes.byref(filter_program))
        for path in self.forbidden:
            _must_fail(f"read {path}", lambda path=path: os.close(os.open(path, os.O_RDONLY)))  # type: ignore[misc]
        _must_fail("use UNIX sockets", lambda: socket.socket(socket.AF_UNIX).close())
        if self.kernel.abi >= 4 and rules.bind is not None:
            _must_fail("listen on any port", _listen_anywhere)
        if self.kernel.abi >= 6 and os.getppid() > 1:
            _must_fail("signal other programs", lambda: os.kill(os.getppid(), 0))


class _Starter:
    """A thread that confines itself and starts one process. It waits for the end of that process if it `stays`."""

    def __init__(self, confine: Callable[[], None], spawn: Callable[[], int], *, stays: bool) -> None:
        self._stays = stays
        self._confine = confine
        self._spawn = spawn
        self._started = threading.Event()
        self._pid = 0
        self._problem: BaseException | None = None

    def run(self) -> int:
        """Block the calling thread until the process is started."""
        thread = threading.Thread(target=self._work, name="confined", daemon=True)
        thread.start()
        self._started.wait()
        if not self._stays:
            _await_end(thread)
        if self._problem is not None:
            raise self._problem
        return self._pid

    def _work(self) -> None:
        try:
            self._confine()
        except OSError as error:
            self._problem = NotConfined(f"the kernel refused: {error.strerror}")
        except NotConfined as error:
            self._problem = error
        else:
            try:
                self._pid = self._spawn()
            except BaseException as error:
                self._problem = error
        self._started.set()
        if self._pid and self._stays:
            # The reactor reaps the process.
            with suppress(OSError):
                os.waitid(os.P_PID, self._pid, os.WEXITED | os.WNOWAIT)


def _await_end(thread: threading.Thread) -> None:
    """Wait until the kernel has given the thread's children to the main thread: `join` returns a little earlier."""
    thread.join()
    task, by = f"/proc/self/task/{thread.native_id}", time.monotonic() + _THREAD_SECONDS
    while os.path.exists(task) and time.monotonic() < by:
        time.sleep(0.0001)


def _tasks() -> int:
    """Processes and threads on this machine now: at least as many as are this user's, and one read instead of many."""
    try:
        # `0.20 0.18 0.12 1/80 11206`, proc(5).
        return int(Path("/proc/loadavg").read_text().split()[3].partition("/")[2])
    except (OSError, ValueError, IndexError):
        return 4096


def _limit(pid: int, rules: Rules) -> None:
    """Set limits before the child's shell executes anything, so that they are inherited.

    The limit on tasks counts all of the user's. It stops the module's forks, but not the hub's, whose own limit stays.
    """
    with suppress(OSError):
        Path(f"/proc/{pid}/oom_score_adj").write_text(str(rules.oom_score))
    for which, most in (
        (resource.RLIMIT_NOFILE, rules.open_files),
        (resource.RLIMIT_FSIZE, rules.file_bytes),
        (resource.RLIMIT_NPROC, _tasks() + rules.tasks),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(which)[1]
        least = most if hard == resource.RLIM_INFINITY else min(most, hard)
        # The process may have ended already.
        with suppress(OSError):
            resource.prlimit(pid, which, (least, least))


def _must_fail(what: str, attempt: Callable[[], None]) -> None:
    try:
        attempt()
    except OSError as error:
        if error.errno in (errno.EADDRINUSE, errno.EMFILE, errno.ENFILE):
            raise NotConfined(f"checking whether it can {what} failed: {error.strerror}") from None
        return
    raise NotConfined(f"it could still {what}")


def _listen_anywhere() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
