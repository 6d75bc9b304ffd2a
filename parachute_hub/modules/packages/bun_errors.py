"""Turns bun's failures into messages that say what to do."""

import re
from collections.abc import Sequence

from parachute_hub.system.records import frozen


@frozen
class Complaint:
    """`kind` is a stable word for programs, `text` a message for the user."""

    kind: str
    text: str


_ASK = "Check the network and the registry's address, then try again."
_KNOWN: tuple[tuple[str, str, str], ...] = (
    (r"ENOSPC|No space left", "disk_full", "The disk is full. Free some space, then try again."),
    (r"EDQUOT", "disk_full", "The disk quota is used up. Free some space, then try again."),
    (r"EROFS", "read_only", "The disk is read-only. Make the hub's home writable, then try again."),
    (
        r"minimum-release-age",
        "too_new",
        "This version, or one it depends on, was published less than three days ago. A stolen package is usually "
        "noticed within that time. Try again later, or install it anyway (--allow-new).",
    ),
    (
        r"EFBIG|File too (big|large)|FileTooBig|file size limit",
        "too_large",
        "The package holds a file of more than 512 MiB. Nothing was installed.",
    ),
    (r"No version matching|failed to resolve.*but package exists", "no_such_version", "There is no such version."),
    (
        r"IntegrityCheckFailed|Integrity check failed",
        "integrity",
        "The download was damaged or incomplete. Nothing was installed. Try again later.",
    ),
    (r"- 404|404 Not Found", "not_found", "The registry does not have this package. Check its name."),
    (
        r"- 40[13]|40[13] (Unauthorized|Forbidden)",
        "not_allowed",
        "The registry refused access. A private package needs a token: set BUN_CONFIG_TOKEN, or write an .npmrc into "
        "hub/installer in the hub's home.",
    ),
    (
        r"- 5\d\d|5\d\d (Internal|Bad|Service|Gateway)",
        "registry_failed",
        "The registry reported an error. Try again later.",
    ),
    (r"Timeout", "stalled", f"The registry stopped sending. {_ASK}"),
    (r"ConnectionRefused", "refused", f"The registry refuses connections. {_ASK}"),
    (
        r"DNSResolveFailed|ENOTFOUND|UnknownHostName|NameResolution",
        "no_such_host",
        f"The registry's host name could not be found. {_ASK}",
    ),
    (
        r"(?i)certificate|CERT_|SELF_SIGNED|TLS",
        "tls",
        "The registry's certificate cannot be trusted. Check the clock and the certificate settings.",
    ),
    (
        r"ConnectionClosed|ConnectionReset|ECONNRESET|FailedToOpenSocket|NetworkUnreachable",
        "connection",
        f"The connection to the registry was lost. {_ASK}",
    ),
    (
        r"Fail extracting|failed to extract|InvalidTar|Failed to install",
        "extract",
        "The package could not be unpacked: it is damaged, holds a file of more than 512 MiB, or the disk is full.",
    ),
    (
        r"InvalidURL|Registry URL must",
        "registry_address",
        "The registry's address is not a URL. Correct it in the environment or in hub/installer/.npmrc.",
    ),
    (r"(?i)out of memory|Cannot allocate", "memory", "There was not enough memory. Stop a module, then try again."),
)


def explain(lines: Sequence[str], exit_code: int | None, signal: str | None) -> Complaint:
    """The most likely cause in bun's output, else how the process ended."""
    output = "\n".join(lines)
    for pattern, kind, text in _KNOWN:
        if re.search(pattern, output):
            return Complaint(kind, text)
    if signal == "SIGXFSZ":
        return Complaint("too_large", "The package holds a file of more than 512 MiB. Nothing was installed.")
    if signal == "SIGKILL":
        return Complaint(
            "memory", "The installer was killed, most likely for lack of memory. Stop a module, then try again."
        )
    how = f"was killed by {signal}" if signal else f"ended with exit code {exit_code}"
    said = next((line for line in reversed(lines) if line.strip()), "")
    return Complaint("failed", f"The installer {how}." + (f" It said: {said[:300]}" if said else ""))
