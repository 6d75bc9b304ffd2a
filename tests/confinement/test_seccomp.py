"""Each call that the filter examines, on both architectures."""

import errno
import struct

from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.confinement.seccomp import MACHINES, program
from tests.support.bpf import ALLOWED, verdict

ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
# Names for (x86-64, aarch64), from the kernel's tables.
READ, SOCKET, SENDTO, SENDMSG = (0, 63), (41, 198), (44, 206), (46, 211)
CLONE, CLONE3, PRLIMIT, SETPRIORITY = (56, 220), (435, 435), (302, 261), (141, 140)
CHMOD_AT, UTIMENSAT, TRUNCATE, XATTR = (268, 53), (280, 88), (76, 45), (188, 5)
PTRACE, MOUNT, KEYCTL, BPF = (101, 117), (165, 40), (250, 219), (321, 280)
USERFAULTFD, IO_URING, KILL = (323, 282), (425, 425), (62, 129)
STREAM, DGRAM, RAW, CLOEXEC = 1, 2, 3, 0o2000000
UNIX, INET, INET6, NETLINK, MPTCP, FASTOPEN = 1, 2, 10, 16, 262, 0x20000000

CASES = (
    # what, call, arguments, verdict
    ("an ordinary call", READ, (), ALLOWED),
    ("TCP", SOCKET, (INET, STREAM | CLOEXEC, 0), ALLOWED),
    ("TCP by its number", SOCKET, (INET6, STREAM, 6), ALLOWED),
    ("MPTCP", SOCKET, (INET, STREAM, MPTCP), errno.EPROTONOSUPPORT),
    ("SCTP", SOCKET, (INET, STREAM, 132), errno.EPROTONOSUPPORT),
    ("UDP", SOCKET, (INET, DGRAM, 0), errno.EACCES),
    ("raw", SOCKET, (INET, RAW, 1), errno.EACCES),
    ("UNIX", SOCKET, (UNIX, STREAM, 0), errno.EAFNOSUPPORT),
    ("netlink", SOCKET, (NETLINK, RAW, 0), errno.EAFNOSUPPORT),
    ("packets", SOCKET, (17, RAW, 0), errno.EAFNOSUPPORT),
    ("a family with high bits", SOCKET, (1 << 32 | UNIX, STREAM, 0), errno.EAFNOSUPPORT),
    ("send", SENDTO, (3, 0, 0, 0x4000), ALLOWED),
    ("sendto with fast open", SENDTO, (3, 0, 0, FASTOPEN), errno.EOPNOTSUPP),
    ("sendmsg with fast open", SENDMSG, (3, 0, FASTOPEN | 0x40), errno.EOPNOTSUPP),
    ("a thread", CLONE, (0x3D0F00,), ALLOWED),
    ("a user namespace", CLONE, (0x10000011,), errno.EPERM),
    ("a mount namespace", CLONE, (0x20000,), errno.EPERM),
    ("clone3", CLONE3, (), errno.ENOSYS),
    ("own limits", PRLIMIT, (0, 7), ALLOWED),
    ("the hub's limits", PRLIMIT, (4711, 7), errno.EPERM),
    ("own priority", SETPRIORITY, (0, 0, 5), ALLOWED),
    ("the hub's priority", SETPRIORITY, (0, 4711, 19), errno.EPERM),
    ("chmod", CHMOD_AT, (0xFFFFFF9C, 1, 0), 0),
    ("times of an open file", UTIMENSAT, (3, 0, 1), ALLOWED),
    ("times by path", UTIMENSAT, (3, 0x7F0000001000, 1), 0),
    ("times by a path at a round address", UTIMENSAT, (3, 1 << 32, 1), 0),
    ("truncate by path", TRUNCATE, (1, 0), ALLOWED),
    ("extended attributes", XATTR, (), errno.EOPNOTSUPP),
    ("ptrace", PTRACE, (), errno.EPERM),
    ("mount", MOUNT, (), errno.EPERM),
    ("keyctl", KEYCTL, (), errno.EPERM),
    ("bpf", BPF, (), errno.EPERM),
    ("userfaultfd", USERFAULTFD, (), errno.EPERM),
    ("io_uring", IO_URING, (), errno.ENOSYS),
    ("kill, which Landlock scopes", KILL, (1, 9), ALLOWED),
)


class FilterTests(SynchronousTestCase):
    def test_each_call_has_its_verdict(self) -> None:
        for column, machine in enumerate(("x86_64", "aarch64")):
            code = program(machine, udp=False, change_modes=False, truncate=True)
            for what, numbers, arguments, wanted in CASES:
                found = verdict(code, numbers[column], *arguments, arch=ARCH[machine])
                self.assertEqual(found, wanted, f"{what} on {machine}")

    def test_what_may_be_allowed(self) -> None:
        for machine in MACHINES:
            column = 0 if machine == "x86_64" else 1
            code = program(machine, udp=True, change_modes=True, truncate=False)
            for what, numbers, arguments, wanted in (
                ("UDP", SOCKET, (INET, DGRAM | CLOEXEC, 17), ALLOWED),
                ("UDP-Lite", SOCKET, (INET, DGRAM, 136), errno.EPROTONOSUPPORT),
                ("TCP still", SOCKET, (INET6, STREAM, 0), ALLOWED),
                ("raw never", SOCKET, (INET, RAW, 1), errno.EACCES),
                ("chmod", CHMOD_AT, (), ALLOWED),
                ("times by path", UTIMENSAT, (3, 4096, 1), ALLOWED),
                ("truncate by path", TRUNCATE, (), errno.EACCES),
            ):
                found = verdict(code, numbers[column], *arguments, arch=ARCH[machine])
                self.assertEqual(found, wanted, f"{what} on {machine}")

    def test_another_architecture_has_no_calls(self) -> None:
        """The numbers mean other calls there: 41 is `dup` in 32-bit programs."""
        for machine in MACHINES:
            code = program(machine, udp=False, change_modes=False, truncate=True)
            self.assertEqual(verdict(code, 3, arch=0x40000003), errno.ENOSYS, machine)
        code = program("x86_64", udp=False, change_modes=False, truncate=True)
        self.assertEqual(verdict(code, 0x40000000 | 41, UNIX, arch=ARCH["x86_64"]), errno.ENOSYS, "x32")

    def test_the_kernel_takes_it(self) -> None:
        """No jump leaves the program, and it is not longer than BPF_MAXINSNS."""
        for machine in MACHINES:
            code = program(machine, udp=True, change_modes=False, truncate=False)
            length = len(code) // 8
            self.assertLess(length, 4096)
            for at in range(length):
                operation, when, otherwise, _ = struct.unpack_from("=HBBI", code, at * 8)
                if operation & 0x07 == 0x05:
                    self.assertLess(at + 1 + max(when, otherwise), length, f"{machine}, instruction {at}")
