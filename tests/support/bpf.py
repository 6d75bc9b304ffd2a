"""An interpreter of classic BPF programs, as the kernel runs them on a system call (linux/seccomp.h)."""

import struct

ALLOWED = "allowed"


def verdict(program: bytes, call: int, *arguments: int, arch: int) -> str | int:
    """The filter's result for a call: `ALLOWED`, or the error number that the caller gets (0: pretends success)."""
    data = struct.pack("=IIQ6Q", call, arch, 0, *arguments, *[0] * (6 - len(arguments)))
    code = [struct.unpack_from("=HBBI", program, at) for at in range(0, len(program), 8)]
    at, register = 0, 0
    while True:
        operation, when, otherwise, constant = code[at]
        at += 1
        match operation:
            case 0x20:
                (register,) = struct.unpack_from("=I", data, constant)
            case 0x54:
                register &= constant
            case 0x15:
                at += when if register == constant else otherwise
            case 0x35:
                at += when if register >= constant else otherwise
            case 0x45:
                at += when if register & constant else otherwise
            case 0x06:
                return ALLOWED if constant == 0x7FFF0000 else constant & 0xFFFF
            case _:
                raise AssertionError(f"unknown operation {operation:#x}")
