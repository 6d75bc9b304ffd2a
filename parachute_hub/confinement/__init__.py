"""Confinement of child processes: rules for files, ports and system calls, enforced by the kernel."""
