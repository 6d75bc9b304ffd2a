"""OS and process services: files, the home folder, logs, timers."""
