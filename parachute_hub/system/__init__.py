"""The operating system and the process: files, the home folder, logs, timers."""
