"""Proofs that take too long for every CI run: `make proof NAME=...`. docs/proofs.md records their results. Each has a
short form among the tests.
"""

import os
import subprocess
import sys
import time

from attrs import field, frozen


@frozen
class Proof:
    """`arguments` for this project's Python, run with `environment` added to the current one."""

    claim: str
    arguments: tuple[str, ...]
    environment: dict[str, str] = field(factory=dict)


PROOFS = {
    "faults": Proof(
        "every fault of docs/faults.md at full size, beside supervisord", ("-m", "tests.live.faults", "--full")
    ),
    "kills": Proof(
        "kill -9 in the middle of install, upgrade and uninstall", ("-m", "tests.live.test_modules_kill", "--full")
    ),
    "hub-kills": Proof(
        "kill -9 of the whole hub under notes, refreshes and changes of modules: nothing acknowledged is lost",
        ("-m", "tests.live.test_hub_kill", "--full"),
    ),
    "update-in-place": Proof(
        "ten changes of the hub's version under 10,000 requests: none fails, modules stay, nothing grows",
        ("-m", "tests.live.test_update_in_place"),
    ),
    "backup-kills": Proof(
        "kill -9 of the hub or its worker during backup, prune, verify and restore",
        ("-m", "tests.live.test_backup_kill", "--full"),
    ),
    "backup-s3": Proof(
        "backups to a bucket that fails in every way, and answers after 10 s",
        ("-m", "twisted.trial", "tests.live.test_backup_s3"),
        {"PARACHUTE_S3_LATENCY": "10"},
    ),
    "backup-size": Proof(
        "a home with a vault of 1 GB, backed up within 60 MB of memory, beside restic",
        ("-m", "tests.live.test_backup_size", "1000"),
    ),
    "move-in": Proof(
        "kill -9 while the accounts of an older hub are taken over", ("-m", "tests.live.test_migrate", "100")
    ),
    "full-disk": Proof("a full disk at every write of an operation", ("-m", "tests.live.test_modules_full", "--full")),
    "power-cuts": Proof("a power cut at any step of an operation", ("-m", "tests.live.test_modules_power", "--full")),
    "fresh-machine": Proof(
        "make run and make test in clean Debian 12 and 13 containers", ("-m", "tools.fresh_machine")
    ),
    "install-ways": Proof(
        "make run, pip, a wheel, pipx, uvx and the sdist in clean Debian 12 and 13 containers, timed",
        ("-m", "tools.install_ways"),
    ),
    "fuzz": Proof(
        "an hour of what strangers, clients, pages and modules could send or write",
        ("-m", "twisted.trial", "tests.fuzz"),
        {"PARACHUTE_FUZZ_SECONDS": "450"},
    ),
    "friends": Proof(
        "a friend writes a note within 60 s of opening an invitation, with the pauses of a person",
        ("-m", "twisted.trial", "tests.browser.test_friends.InvitationTests"),
        {"PARACHUTE_HUMAN_PAUSES": "1"},
    ),
    "isolation": Proof(
        "a hostile module in the real container, as uid 1000 under the default seccomp profile",
        ("-m", "tests.live.isolation_container"),
    ),
    "hogs": Proof(
        "a fork bomb, a memory hog, a disk filler and a descriptor hog in one module leave others alone",
        ("-m", "tests.live.isolation_hogs"),
    ),
    "split-out": Proof(
        "a vault with 10,000 notes moves to another container and back under writes: nothing lost, nothing double",
        ("-m", "tests.live.container.split_out"),
    ),
    "link-kills": Proof(
        "kill -9 of the hub at any moment of a move to another machine or back, under writes: nothing lost or double",
        ("-m", "tests.live.link_kills"),
    ),
    "host-kills": Proof(
        "kill -9 of a module host at any time of moves there and back, under writes",
        ("-m", "twisted.trial", "tests.live.module_host_kills"),
    ),
    "stalled": Proof(
        "20,000 clients that stop moving cost a hub at most 40 MB and drive nobody out, beside nginx",
        ("-m", "bench.stalled"),
    ),
    "outbox": Proof(
        "two devices that write offline, lose answers and collide lose no word and agree in the end",
        ("-m", "twisted.trial", "tests.live.test_examples_notes_outbox"),
        {"PARACHUTE_OUTBOX_EXAMPLES": "3000"},
    ),
    "broken-upgrades": Proof(
        "a hundred upgrades to versions that do not work",
        ("-m", "twisted.trial", "tests.live.test_modules_upgrade"),
        {"BROKEN_UPGRADES": "100"},
    ),
}


def describe() -> str:
    """The table as text."""
    width = max(len(name) for name in PROOFS)
    return "\n".join(f"  {name:{width}}  {proof.claim}" for name, proof in PROOFS.items())


def main(names: list[str]) -> int:
    """Run the named proofs one after the other; the number of failures."""
    unknown = [name for name in names if name not in PROOFS]
    if unknown or not names:
        print(f"make proof NAME=... with one of\n{describe()}")
        return 2
    failed = 0
    for name in names:
        proof, began = PROOFS[name], time.monotonic()
        print(f"{name}: {proof.claim}", flush=True)
        code = subprocess.call([sys.executable, *proof.arguments], env={**os.environ, **proof.environment})
        print(f"{name}: {'failed' if code else 'held'} after {time.monotonic() - began:.0f} s", flush=True)
        failed += code != 0
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
