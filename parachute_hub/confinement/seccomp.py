"""The seccomp filter of a confined process, which covers what Landlock does not. Assembles classic BPF
(linux/seccomp.h).

Denied calls fail as on a system without them, so that programs can fall back; nothing is killed.
"""

import struct
from collections.abc import Iterable
from typing import Final, TypeAlias

Instruction: TypeAlias = tuple[int, int, int, int]

# One column per architecture; None where the call does not exist.
_COLUMNS: Final = {"x86_64": 0, "aarch64": 1}
_AUDIT_ARCH: Final = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_X32 = 0x40000000

_LOAD, _AND = 0x20, 0x54
_JEQ, _JGE, _JSET = 0x15, 0x35, 0x45
_RETURN = 0x06
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_NR, _ARCH, _ARGS = 0, 4, 16

_EPERM, _EACCES, _ENOSYS, _EPROTONOSUPPORT, _EOPNOTSUPP, _EAFNOSUPPORT = 1, 13, 38, 93, 95, 97
_AF_INET, _AF_INET6 = 2, 10
_SOCK_STREAM, _SOCK_DGRAM, _TYPE_MASK = 1, 2, 0xF
_TCP, _UDP = 6, 17
_MSG_FASTOPEN = 0x20000000
# CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET
_CLONE_NAMESPACES = 0x20000 | 0x2000000 | 0x4000000 | 0x8000000 | 0x10000000 | 0x20000000 | 0x40000000

# Changing modes, owners or times would affect all files of the user regardless of Landlock. The calls succeed without
# effect.
_WITHOUT_EFFECT: Final = {
    "chmod": (90, None),
    "fchmod": (91, 52),
    "fchmodat": (268, 53),
    "fchmodat2": (452, 452),
    "chown": (92, None),
    "fchown": (93, 55),
    "lchown": (94, None),
    "fchownat": (260, 54),
    "utime": (132, None),
    "utimes": (235, None),
    "futimesat": (261, None),
}
_NOT_SUPPORTED: Final = {
    "setxattr": (188, 5),
    "lsetxattr": (189, 6),
    "fsetxattr": (190, 7),
    "removexattr": (197, 14),
    "lremovexattr": (198, 15),
    "fremovexattr": (199, 16),
    "setxattrat": (463, 463),
    "removexattrat": (466, 466),
    "file_setattr": (469, 469),
}
# Not needed by modules: other processes' memory, mounts, namespaces, keys, BPF, watching unreadable folders, System V
# IPC (shared by all processes of a user), system administration.
_REFUSED: Final = {
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "kcmp": (312, 272),
    "pidfd_getfd": (438, 438),
    "process_madvise": (440, 440),
    "mount": (165, 40),
    "umount2": (166, 39),
    "move_mount": (429, 429),
    "open_tree": (428, 428),
    "open_tree_attr": (467, 467),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "setns": (308, 268),
    "unshare": (272, 97),
    "keyctl": (250, 219),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "bpf": (321, 280),
    "userfaultfd": (323, 282),
    "perf_event_open": (298, 241),
    "inotify_add_watch": (254, 27),
    "fanotify_init": (300, 262),
    "fanotify_mark": (301, 263),
    "open_by_handle_at": (304, 265),
    "lookup_dcookie": (212, 18),
    "migrate_pages": (256, 238),
    "move_pages": (279, 239),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "acct": (163, 89),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "reboot": (169, 142),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
    "syslog": (103, 116),
    "iopl": (172, None),
    "ioperm": (173, None),
    "vhangup": (153, 58),
    "shmget": (29, 194),
    "shmat": (30, 196),
    "shmctl": (31, 195),
    "msgget": (68, 186),
    "msgsnd": (69, 189),
    "msgrcv": (70, 188),
    "msgctl": (71, 187),
    "semget": (64, 190),
    "semop": (65, 193),
    "semctl": (66, 191),
    "semtimedop": (220, 192),
    "mq_open": (240, 180),
    "mq_unlink": (241, 181),
}
# Programs fall back if these are unsupported. The arguments of clone3 cannot be inspected.
_UNKNOWN: Final = {
    "clone3": (435, 435),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
}
# The argument with this index is a process; 0 is the caller. They work across all processes of a user.
_OWN_PROCESS_ONLY: Final = {
    "prlimit64": ((302, 261), 0),
    "sched_setaffinity": ((203, 122), 0),
    "sched_setscheduler": ((144, 119), 0),
    "sched_setparam": ((142, 118), 0),
    "sched_setattr": ((314, 274), 0),
    "setpriority": ((141, 140), 1),
    "ioprio_set": ((251, 30), 1),
}
_SENDS: Final = {"sendto": ((44, 206), 3), "sendmsg": ((46, 211), 2), "sendmmsg": ((307, 269), 3)}
_SOCKET: Final = (41, 198)
_CLONE: Final = (56, 220)
_UTIMENSAT: Final = (280, 88)
_TRUNCATE: Final = (76, 45)

MACHINES: Final = tuple(_COLUMNS)
"""Architectures (`uname -m`) for which there is a filter."""


def program(machine: str, *, udp: bool, change_modes: bool, truncate: bool) -> bytes:
    """The filter as an array of `struct sock_filter`.

    `udp` allows datagram sockets (for a resolver), `change_modes` chmod and similar, `truncate` the call with a path,
    which Landlock restricts from version 3 on.
    """
    column = _COLUMNS[machine]
    code: list[Instruction] = [
        (_LOAD, 0, 0, _ARCH),
        (_JEQ, 1, 0, _AUDIT_ARCH[machine]),
        _refuse(_ENOSYS),
        (_LOAD, 0, 0, _NR),
    ]
    if machine == "x86_64":
        code += [(_JGE, 0, 1, _X32), _refuse(_ENOSYS)]
    flat: list[tuple[Iterable[tuple[int | None, int | None]], int]] = [
        (_NOT_SUPPORTED.values(), _EOPNOTSUPP),
        (_REFUSED.values(), _EPERM),
        (_UNKNOWN.values(), _ENOSYS),
    ]
    if not change_modes:
        flat.append((_WITHOUT_EFFECT.values(), 0))
    if not truncate:
        flat.append(([_TRUNCATE], _EACCES))
    for calls, error in flat:
        for numbers in calls:
            number = numbers[column]
            if number is not None:
                code += [(_JEQ, 0, 1, number), _refuse(error)]
    for numbers, index in _OWN_PROCESS_ONLY.values():
        code += _when(numbers[column], [_argument(index), (_JEQ, 1, 0, 0), _refuse(_EPERM), _allow()])
    for numbers, index in _SENDS.values():
        code += _when(numbers[column], [_argument(index), (_JSET, 0, 1, _MSG_FASTOPEN), _refuse(_EOPNOTSUPP), _allow()])
    code += _when(_CLONE[column], [_argument(0), (_JSET, 0, 1, _CLONE_NAMESPACES), _refuse(_EPERM), _allow()])
    if not change_modes:
        code += _when(_UTIMENSAT[column], _by_path_without_effect())
    code += _when(_SOCKET[column], _sockets(udp))
    code.append(_allow())
    return b"".join(struct.pack("=HBBI", *each) for each in code)


def _sockets(udp: bool) -> list[Instruction]:
    """TCP over IPv4 and IPv6 only, since nothing else is restricted by port. MPTCP could bypass the port rules."""
    code = [
        _argument(0),
        (_JEQ, 2, 0, _AF_INET),
        (_JEQ, 1, 0, _AF_INET6),
        _refuse(_EAFNOSUPPORT),
        _argument(1),
        (_AND, 0, 0, _TYPE_MASK),
    ]
    kinds = [(_SOCK_STREAM, _TCP), (_SOCK_DGRAM, _UDP)] if udp else [(_SOCK_STREAM, _TCP)]
    for kind, protocol in kinds:
        code += [
            (_JEQ, 0, 5, kind),
            _argument(2),
            (_JEQ, 1, 0, 0),
            (_JEQ, 0, 1, protocol),
            _allow(),
            _refuse(_EPROTONOSUPPORT),
        ]
    return [*code, _refuse(_EACCES)]


def _by_path_without_effect() -> list[Instruction]:
    """Calls without a path act on an open file, whose times may be set."""
    return [
        (_LOAD, 0, 0, _ARGS + 8),
        (_JEQ, 0, 2, 0),
        (_LOAD, 0, 0, _ARGS + 12),
        (_JEQ, 1, 0, 0),
        _refuse(0),
        _allow(),
    ]


def _when(number: int, block: list[Instruction]) -> list[Instruction]:
    """The block, which ends in a verdict on every path, for this call only."""
    return [(_JEQ, 0, len(block), number), *block]


def _argument(index: int) -> Instruction:
    """Load the lower half of an argument; inspected arguments are 32 bits. Little endian."""
    return (_LOAD, 0, 0, _ARGS + 8 * index)


def _refuse(error: int) -> Instruction:
    return (_RETURN, 0, 0, _ERRNO | error)


def _allow() -> Instruction:
    return (_RETURN, 0, 0, _ALLOW)
