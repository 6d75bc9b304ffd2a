"""The standard streams of a process that was started without some of them."""

import os
import sys


def complete_streams() -> None:
    """Open those that are closed on /dev/null.

    The next file that is opened would take the place of a closed one, and get what this process and its children
    write to it. Python sets a closed stream to None.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)
    sys.stdin = sys.stdin or open(0, closefd=False)
    sys.stdout = sys.stdout or open(1, "w", closefd=False)
    sys.stderr = sys.stderr or open(2, "w", closefd=False)
