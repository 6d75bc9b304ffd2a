"""`parachute doctor`: diagnoses common problems, says how to repair them, and fixes what is safe."""

import shutil
from argparse import Namespace
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from attrs import frozen

from parachute_hub.cli.client import CommandError, HubClient, module_path
from parachute_hub.cli.commands import client_of, home_of, show

LOW_DISK = 100 * 1024 * 1024
# Problems that need a person, and those that may be temporary.
_LEVELS = {"parked": "fail", "held": "fail", "backoff": "warn", "degraded": "warn"}


@frozen
class Diagnosis:
    """One check: `level` is ok, warn or fail; `text` says what was found and what to do.

    `repair` is what `--fix` does; it never loses data.
    """

    check: str
    level: str
    text: str
    repair: Callable[[], object] | None = None

    def to_json(self) -> dict[str, str]:
        """For `--json`."""
        return {"check": self.check, "level": self.level, "text": self.text}


def doctor(arguments: Namespace) -> int:
    """Run all checks; with --fix, repair and check again. Exit code 1 only if one fails."""
    home, client = home_of(arguments), client_of(arguments)
    findings = list(examine(home, client))
    repaired, lines = [], []
    if arguments.fix:
        for finding in findings:
            if finding.repair is not None:
                try:
                    finding.repair()
                except CommandError as error:
                    lines.append(f"could not fix {finding.check}: {error}")
                else:
                    repaired.append(finding.check)
                    lines.append(f"fixed {finding.check}")
        findings = list(examine(home, client))
    lines += [f"{finding.level:<5} {finding.check}: {finding.text}" for finding in findings]
    if not arguments.fix and any(finding.repair for finding in findings):
        lines.append("`parachute doctor --fix` can repair some of this.")
    show(arguments, {"findings": [finding.to_json() for finding in findings], "fixed": repaired}, "\n".join(lines))
    return 1 if any(finding.level == "fail" for finding in findings) else 0


def examine(home: Path, client: HubClient) -> Iterator[Diagnosis]:
    """The checks, in the order in which to repair things."""
    yield from _home(home)
    yield from _bun()
    yield from _registry(home)
    yield from _hub(client)


def _home(home: Path) -> Iterator[Diagnosis]:
    if not home.is_dir():
        yield Diagnosis("home", "warn", f"{home} does not exist yet; `parachute serve` makes it.")
        return
    if home.stat().st_mode & 0o077:
        text = f"other users of this machine can read {home}. Run: chmod 700 {home}"
        yield Diagnosis("home", "warn", text, lambda: home.chmod(0o700))
    else:
        yield Diagnosis("home", "ok", f"{home} is private.")
    free = shutil.disk_usage(home).free
    if free < LOW_DISK:
        yield Diagnosis("disk", "fail", f"{free // 1024**2} MB are free; make room, or remove a module.")
    else:
        yield Diagnosis("disk", "ok", f"{free // 1024**2} MB are free.")
    token = home / "operator.token"
    if token.exists() and token.stat().st_mode & 0o077:
        text = f"others may read {token}: chmod 600 it, then restart the hub."
        yield Diagnosis("operator-token", "fail", text, lambda: token.chmod(0o600))
    elif token.exists():
        yield Diagnosis("operator-token", "ok", "it is private.")


def _bun() -> Iterator[Diagnosis]:
    from parachute_hub.modules.packages.bun import NoBun, find
    from parachute_hub.settings import from_process

    try:
        yield Diagnosis("bun", "ok", str(find(from_process({}).bun)))
    except NoBun as error:
        yield Diagnosis("bun", "fail", str(error))


def _registry(home: Path) -> Iterator[Diagnosis]:
    from parachute_hub.modules.state.services_file import ServicesFile

    registry = ServicesFile(home / "services.json").read()
    for problem in registry.problems:
        yield Diagnosis("services.json", "warn", str(problem))
    if not registry.problems:
        yield Diagnosis("services.json", "ok", f"{len(registry.rows)} modules are registered.")


def _hub(client: HubClient) -> Iterator[Diagnosis]:
    if not client.running:
        yield Diagnosis("hub", "warn", "it is not running; start it with `parachute serve`.")
        return
    health = client.health()
    level = "ok" if health.get("db") in ("ok", "unconfigured") else "fail"
    yield Diagnosis("hub", level, f"version {health.get('version')}, database {health.get('db')}.")
    try:
        listing = client.call("GET", "/api/modules")
    except CommandError as error:
        yield Diagnosis("modules", "fail", str(error))
        return
    for module in listing["modules"]:
        if module.get("installed"):
            level = _LEVELS.get(str(module.get("state")), "ok")
            text = f"{module.get('state')}: {module.get('reason') or ''}".rstrip(": ")
            drifted = bool(module.get("port_drift"))
            again = partial(client.call, "POST", module_path(module["short"], "restart"))
            yield Diagnosis(
                f"module {module['short']}", level, text, again if level == "fail" and not drifted else None
            )
            yield from _says(module)
            if drifted:
                yield _port_drift(client, module)
            for unit in module.get("uis") or ():
                if unit.get("status") == "failing":
                    text = f"{module['short']} reports that it fails; see `parachute logs {module['short']}`."
                    yield Diagnosis(f"app {unit.get('display_name')}", "fail", text)
    yield from _isolation(listing["modules"], listing.get("isolation"))


def _says(module: dict[str, Any]) -> Iterator[Diagnosis]:
    """What a running module says is wrong with itself, and a vault module without a vault."""
    short, state = module["short"], module.get("state")
    if state not in ("ready", "degraded"):
        return
    for text in module.get("reports") or ():
        yield Diagnosis(f"module {short}", "fail", f"it reports: {text}. See `parachute logs {short}`.")
    for text in module.get("warnings") or ():
        yield Diagnosis(f"module {short}", "warn", f"it wrote when it started: {text}")
    if module.get("vaults") == 0:
        yield Diagnosis(f"module {short}", "warn", "it runs, but has no vault yet. Create one at /admin/vaults.")


def _isolation(modules: list[dict[str, Any]], here: dict[str, Any] | None) -> Iterator[Diagnosis]:
    """Check that running modules are isolated from each other and from the hub; `here` is for those to come."""
    told = {module["short"]: module["isolation"] for module in modules if module.get("isolation") and module.get("pid")}
    if here is not None and not told:
        if here["state"] == "off":
            yield Diagnosis("isolation", "warn", f"modules are not separated. {here['why']}")
            return
        told = {"": here}
    loose = {short: state["why"] for short, state in told.items() if state["state"] == "off"}
    for why in dict.fromkeys(loose.values()):
        names = ", ".join(short for short in loose if loose[short] == why)
        yield Diagnosis("isolation", "warn", f"{names} can read everything that the hub can read. {why}")
    missing = next((state["missing"] for state in told.values() if state["state"] == "partly"), None)
    if missing:
        text = f"modules are separated, but this kernel cannot restrict {' and '.join(missing)}."
        yield Diagnosis("isolation", "warn", text)
    elif told and not loose:
        yield Diagnosis("isolation", "ok", "modules are separated from each other and from the hub.")


def _port_drift(client: HubClient, module: dict[str, Any]) -> Diagnosis:
    error = module.get("supervisor_start_error") or {}
    listens = ", ".join(map(str, error.get("listens") or ()))
    why = {
        "elsewhere": f"it listens on {listens} instead of {module.get('port')}.",
        "squatted": str(error.get("error_description")),
        "row": f"it runs on {module.get('port')}, and its settings name another port.",
    }
    text = why.get(module["port_drift"], module["port_drift"])
    return Diagnosis(
        f"port of {module['short']}",
        "warn",
        text,
        partial(client.call, "POST", module_path(module["short"], "heal-port")),
    )
