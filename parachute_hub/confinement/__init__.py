"""What a child process may reach: rules for files, ports and system calls, and the kernel's enforcement of them."""
