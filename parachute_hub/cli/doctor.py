"""`parachute doctor`: the problems that Home shows, also without a hub, and repairs of what is safe."""

import shutil
from argparse import Namespace
from collections.abc import Iterator, Mapping
from pathlib import Path
from textwrap import indent, wrap
from typing import Any

from parachute_hub.app.problems import lacking, open_files
from parachute_hub.cli.client import CommandError, HubClient
from parachute_hub.cli.commands import address_of, show
from parachute_hub.cli.terminal import TINTS, terminal
from parachute_hub.cli.which_hub import client_of, home_of
from parachute_hub.modules.packages import bun
from parachute_hub.modules.state.services_file import ServicesFile
from parachute_hub.problems.checks.hub import OpenFiles, UnusableRows
from parachute_hub.problems.checks.machine import DiskSpace
from parachute_hub.problems.checks.packages import BunMissing
from parachute_hub.problems.model import Problem, Severity, Standing, ordered, words
from parachute_hub.settings import from_process
from parachute_hub.system.log_lines import visible

_MODES = {"open-file:The hub's folder": ("", 0o700), "open-file:operator.token": ("operator.token", 0o600)}
_WIDTH = 100


def doctor(arguments: Namespace) -> int:
    """Show all problems; with --fix, repair what loses nothing and look again. Exit code 1 only for an error."""
    home, client = home_of(arguments), client_of(arguments)
    problems = examine(home, client)
    fixed, lines = [], []
    if arguments.fix:
        for problem in problems:
            try:
                repaired = repair(home, client, problem)
            except (CommandError, OSError) as error:
                lines.append(f"could not fix {problem['title']}: {error}")
            else:
                if repaired:
                    fixed.append(problem["key"])
                    lines.append(f"fixed: {problem['title']}")
        problems = examine(home, client)
    needed = any(fix["page"] or fix["request"] for problem in problems for fix in problem["fixes"])
    address = address_of(client) if needed else ""
    shown = [problem for problem in problems if not problem["dismissed"]]
    lines += [described(problem, address) for problem in shown] or ["Nothing is wrong."]
    if len(shown) < len(problems):
        lines.append(f"{len(problems) - len(shown)} dismissed; Home shows them.")
    if address:
        lines.append(f"Home: {address}/admin/")
    if not arguments.fix and any(is_safe(problem) for problem in shown):
        lines.append("`parachute doctor --fix` can repair some of this.")
    told = [_with_urls(problem, address) for problem in problems]
    show(arguments, {"problems": told, "fixed": fixed}, "\n".join(lines))
    return 1 if any(problem["severity"] == "error" for problem in shown) else 0


def examine(home: Path, client: HubClient) -> list[dict[str, Any]]:
    """The problems as the hub tells them, looked for now; without a hub, those that can be seen from here."""
    if not client.running:
        return _looked(
            home, client, _alone("hub-down", "The hub is not running", "Its pages and modules cannot be reached.")
        )
    if (wait := client.not_up()) is not None:
        return _looked(home, client, _alone("hub-not-up", "The hub is not up", wait))
    try:
        return list(client.call("POST", "/api/problems/look", {})["problems"])
    except CommandError as error:
        health = client.health()
        text = f"It refused to tell its problems: {error} Its database: {health.get('db')}."
        return _looked(home, client, _alone("hub-refuses", "The hub does not work", text, "error"))


def _alone(key: str, title: str, text: str, severity: Severity = "warning") -> Problem:
    return Problem(
        key=key,
        severity=severity,
        title=title,
        text=text,
        clears="It goes away once the hub runs.",
        fixes=(words("Start it with `parachute serve`; its log says what stops it."),),
    )


def _looked(home: Path, client: HubClient, first: Problem) -> list[dict[str, Any]]:
    """What the checks find that need no hub, after `first`. They see this machine, so only `first` of one elsewhere."""
    checks = () if client.is_elsewhere else _local_checks(home)
    found = [first, *(problem for check in checks for problem in check.look())]
    return [standing.to_json() for standing in ordered([Standing(problem=problem, since=0.0) for problem in found])]


def _local_checks(home: Path) -> Iterator[BunMissing | OpenFiles | DiskSpace | UnusableRows]:
    """The same checks that a hub runs."""
    settings = from_process({"home": str(home)})
    yield BunMissing(lacks=lambda: lacking(lambda: bun.find(settings.bun)))
    if home.is_dir():
        disk = shutil.disk_usage(home)
        yield OpenFiles(loose=lambda: open_files(home))
        yield DiskSpace(space=lambda: (disk.free, disk.total))
        registry = ServicesFile(home / "services.json").read()
        yield UnusableRows(problems=lambda: [str(problem) for problem in registry.problems])


def is_safe(problem: Mapping[str, Any]) -> bool:
    """Whether --fix does something about it."""
    return problem["key"] in _MODES or any(fix["safe"] and fix["request"] for fix in problem["fixes"])


def repair(home: Path, client: HubClient, problem: Mapping[str, Any]) -> bool:
    """Make the first safe fix. False if there is none. Raises CommandError or OSError."""
    if problem["key"] in _MODES and not client.is_elsewhere:
        name, mode = _MODES[problem["key"]]
        (home / name).chmod(mode)
        return True
    for fix in problem["fixes"]:
        if fix["safe"] and fix["request"]:
            client.call(fix["request"]["method"], fix["request"]["path"], fix["request"]["body"] or {})
            return True
    return False


def described(problem: Mapping[str, Any], address: str = "") -> str:
    """One problem with its ways out, for a terminal. `address` is the hub's, if it is known."""
    width = min(_WIDTH, terminal().width or _WIDTH) - 8
    wrapped = "\n".join(wrap(f"{problem['text']} {problem['detail']}".strip(), width))
    fixes = "".join(f"\n- {fix['label']}{_where(fix, address)}" for fix in problem["fixes"])
    severity = terminal().paint(problem["severity"], TINTS.get(problem["severity"])) + " " * (
        8 - len(problem["severity"])
    )
    return f"{severity}{visible(problem['title'])}\n{visible(indent(wrapped + fixes, ' ' * 8))}"


def _where(fix: Mapping[str, Any], address: str) -> str:
    if fix["request"]:
        return " (on Home, or with --fix)" if fix["safe"] else " (on Home)"
    return f": {address}{fix['page']}" if fix["page"] else ""


def _with_urls(problem: Mapping[str, Any], address: str) -> dict[str, Any]:
    """With the `url` of each fix that is a page; None for others, and without the hub's address."""
    fixes = [{**fix, "url": f"{address}{fix['page']}" if address and fix["page"] else None} for fix in problem["fixes"]]
    return {**problem, "fixes": fixes}
