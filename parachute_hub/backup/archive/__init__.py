"""The archive format, and the process that writes and reads it; see docs/decisions/110-backups-are-tar-zstd-age.md."""
