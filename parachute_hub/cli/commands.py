"""The subcommands: each function takes the parsed arguments and returns an exit code."""

import json
import os
import sys
import time
from argparse import Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NoReturn

from parachute_hub.cli.client import CommandError, HubClient, module_path
from parachute_hub.cli.grammar import agreed
from parachute_hub.cli.module_config import settings_table
from parachute_hub.cli.progress import ENDS, WIDTH, ProgressPrinter, run_job
from parachute_hub.cli.tables import ago, percent, size, table
from parachute_hub.cli.terminal import clean, terminal
from parachute_hub.cli.which_hub import client_of, home_of
from parachute_hub.settings import from_process
from parachute_hub.system import strict_json
from parachute_hub.system.log_lines import visible
from parachute_hub.system.strict_json import BadJson

_DOWN = frozenset({"backoff", "parked", "held", "stopped"})


def show(arguments: Namespace, value: dict[str, Any], text: str) -> None:
    """Print JSON if requested, else text: without what the hub or a module wrote for the terminal."""
    print(json.dumps(value, indent=2) if arguments.json else clean(text))


def progress_of(arguments: Namespace) -> ProgressPrinter:
    """Shows a job on standard error; nothing with --json."""
    here = terminal(sys.stderr)
    return ProgressPrinter(quiet=arguments.json, live=here.width is not None, width=here.width or WIDTH)


ORIGIN: Final = "/api/settings/hub-origin"


def address_of(client: HubClient) -> str:
    """The hub's public address; empty if it cannot be asked."""
    try:
        return str(client.call("GET", ORIGIN)["resolved_issuer"])
    except CommandError:
        return ""


REPLACED = {
    "init": "`parachute serve` starts the hub; the set-up opens in the browser, at the address that it prints.",
    "setup": "`parachute serve` starts the hub; the set-up opens in the browser, at the address that it prints.",
    "hub": "`parachute serve` runs the hub, `parachute status` shows it, and your service manager stops and starts it.",
}


def replaced(arguments: Namespace) -> int:
    """Say what took the place of a word of the older hub."""
    raise CommandError(f"`parachute {arguments.word}` is not a word of this hub. {REPLACED[arguments.word]}", code=2)


def serve(arguments: Namespace) -> NoReturn:
    """Run the hub in the foreground, in place of this process. Raises BadSetting."""
    os.environ.setdefault("PARACHUTE_STARTED_BY", "parachute serve")
    options = {name: vars(arguments)[name] for name in ("home", "listen", "catalog", "origin")}
    # What is wrong with one is said here, without twistd's list of options.
    from_process(options)
    become_hub([word for name, value in options.items() if value for word in (f"--{name}", value)])


def become_hub(options: Sequence[str]) -> NoReturn:
    """Run the hub in place of this process, without the code of this command in its memory."""
    os.execv(sys.executable, [sys.executable, "-P", "-m", "parachute_hub", *options])  # noqa: S606


def status(arguments: Namespace) -> int:
    """All modules with their state; without a running hub, those registered on disk."""
    client = client_of(arguments)
    if not client.running:
        return _status_offline(arguments)
    if (wait := client.not_up()) is not None:
        show(arguments, {"running": True, "phase": client.phase, "modules": []}, wait)
        return 3
    listing = client.call("GET", "/api/modules")
    overview = client.call("GET", "/api/overview")
    memory = {one["short"]: one["bytes"] for one in overview["memory"]["modules"]}
    shares = {one["short"]: one["share"] for one in overview["processor"]["modules"]}
    shown = [module for module in listing["modules"] if module.get("installed")]
    rows = [
        (
            str(module["short"]),
            str(module.get("state") or "-"),
            str(module.get("installed_version") or "-"),
            str(module.get("pid") or "-"),
            size(memory.get(module["short"])),
            percent(shares.get(module["short"])),
            _told(module),
        )
        for module in shown
    ]
    text = (
        table(("MODULE", "STATE", "VERSION", "PID", "MEMORY", "CPU", ""), rows, terminal())
        if rows
        else "Nothing is installed yet."
    )
    backups = client.call("GET", "/api/backups")
    problems = [one for one in client.call("GET", "/api/problems")["problems"] if not one["dismissed"]]
    text += f"\n\n{problem_line(problems)}\n{backup_line(backups, time.time())}"
    show(arguments, {**listing, "problems": problems, "backups": {"restorableAt": restorable_at(backups)}}, text)
    return 0


def problem_line(problems: Sequence[Mapping[str, Any]]) -> str:
    """How much is wrong, in one line.

    >>> problem_line([]), problem_line([{"title": "The disk is almost full"}])
    ('No problems.', '1 problem: The disk is almost full. `parachute doctor` says what to do.')
    """
    if not problems:
        return "No problems."
    first, more = problems[0]["title"], f"first of {len(problems)} problems"
    return f"{'1 problem' if len(problems) == 1 else more.capitalize()}: {first}. `parachute doctor` says what to do."


def restorable_at(backups: Mapping[str, Any]) -> float | None:
    """When the newest backup that was read back and checked was made, in epoch seconds."""
    copies = [one for place in backups["places"] for one in place["backups"] if one["verifiedAt"] is not None]
    return max((float(one["madeAt"]) for one in copies), default=None)


def backup_line(backups: Mapping[str, Any], now: float) -> str:
    """The state of backups in one line.

    >>> copy = {"madeAt": 0, "verifiedAt": 1}
    >>> backup_line({"key": {"confirmedAt": 1}, "places": [{"backups": [copy]}]}, 86400.0)
    'Last backup we know can be restored: yesterday'
    >>> backup_line({"key": None, "places": []}, 0.0)
    'Backups are not set up. Begin with: parachute backup sheet'
    """
    if not backups["key"]:
        return "Backups are not set up. Begin with: parachute backup sheet"
    made = restorable_at(backups)
    return f"Last backup we know can be restored: {ago(now - made) if made is not None else 'none yet'}"


def _told(module: dict[str, Any]) -> str:
    """Where it runs if not here, the reason for its state, and what it says is wrong with itself.

    >>> _told({"reason": "It answers.", "elsewhere": {"address": "https://notes.example.com"}})
    'On https://notes.example.com. It answers.'
    """
    where = f"On {module['elsewhere']['address']}." if module.get("elsewhere") else ""
    reports = "; ".join(module.get("reports") or ())
    none = "It has no vault yet." if module.get("vaults") == 0 and module.get("state") == "ready" else ""
    return " ".join(part for part in (where, module.get("reason"), reports and f"It reports: {reports}.", none) if part)


def _status_offline(arguments: Namespace) -> int:
    from parachute_hub.modules.state.services_file import ServicesFile

    home = home_of(arguments)
    rows = ServicesFile(home / "services.json").read().rows
    listing = {"running": False, "modules": [{"name": row.name, "version": row.version} for row in rows]}
    lines = [f"The hub is not running (home {home}). Start it with `parachute serve`."]
    if rows:
        lines += ["", table(("REGISTERED", "VERSION"), [(row.name, row.version) for row in rows])]
    show(arguments, listing, "\n".join(lines))
    return 3


def install(arguments: Namespace) -> int:
    """Install a module from the catalog, by package name, or from a folder or tarball."""
    body: dict[str, Any] = {"without_optional": True} if arguments.without_optional else {}
    body |= {"allow_new": True} if arguments.allow_new else {}
    body |= {"init": arguments.init} if arguments.init or arguments.without_init else {}
    if arguments.channel:
        body["channel"] = arguments.channel
    name = arguments.module
    done = "{short} is installed and running."
    if name.startswith((".", "/", "~")) or name.endswith((".tgz", ".tar.gz")):
        if client_of(arguments).is_elsewhere:
            raise CommandError("A folder or tarball is installed by the command on the hub's own machine.", code=2)
        body["source"] = str(Path(os.path.expanduser(name)).absolute())
    else:
        short, _, version = name.partition("@")
        if _offered(client_of(arguments), short):
            return _job(arguments, short, "install", {**body, **({"version": version} if version else {})}, done)
        if "@" not in name:
            raise CommandError(f"{name} is not in the catalog. For the npm package of that name, use {name}@latest.")
        body["package"] = name
    return _follow(arguments, name, "/api/modules/install", body, done)


def _offered(client: HubClient, short: str) -> bool:
    """True if the catalog has a module of this name."""
    modules = client.call("GET", "/api/modules")["modules"]
    return any(module["short"] == short and module["first_party"] for module in modules)


def upgrade(arguments: Namespace) -> int:
    """Upgrade one module, or all with a newer version."""
    if arguments.all == bool(arguments.module):
        raise CommandError("Name a module, or use --all.", code=2)
    body: dict[str, Any] = {"allow_downgrade": True} if arguments.allow_downgrade else {}
    if arguments.allow_new:
        body["allow_new"] = True
    if arguments.version:
        body["version"] = arguments.version
    if arguments.module:
        job = _followed(arguments, arguments.module, module_path(arguments.module, "upgrade"), body)
        show(arguments, job, _done(job))
        return 0
    return _upgrade_all(arguments, body)


def _upgrade_all(arguments: Namespace, body: dict[str, Any]) -> int:
    """Upgrade one after the other; a failure does not stop the others."""
    if arguments.version:
        raise CommandError("Name the module the version belongs to.", code=2)
    listing = client_of(arguments).call("GET", "/api/modules?fresh=1")
    jobs, failed = [], []
    for short in [module["short"] for module in listing["modules"] if module.get("upgrade_available")]:
        try:
            jobs.append(_followed(arguments, short, module_path(short, "upgrade"), body))
        except CommandError as error:
            print(visible(f"{short}: {error}"), file=sys.stderr)
            failed.append(short)
    text = "\n".join(_done(job) for job in jobs)
    show(arguments, {"operations": jobs, "failed": failed}, text or ("" if failed else "Everything is up to date."))
    return 1 if failed else 0


def _done(job: dict[str, Any]) -> str:
    """The result of an upgrade: the last line of its log."""
    return visible(str((job.get("log") or [f"{job.get('short')} is up to date."])[-1]))


def updates(arguments: Namespace) -> int:
    """What happens with a module's newer versions."""
    path = module_path(arguments.module, "settings")
    answer = client_of(arguments).call("PUT", path, {"updates": arguments.choice})
    told = {
        "tell": "You are told of newer versions of {short}.",
        "night": "Newer versions of {short} are installed at night.",
        "pin": "{short} stays at its version.",
    }
    show(arguments, answer, told[answer["updates"]].format(short=arguments.module))
    return 0


def rollback(arguments: Namespace) -> int:
    """Go back to the version before the last upgrade."""
    return _job(arguments, arguments.module, "rollback", {}, "{short} is back at its previous version.")


def uninstall(arguments: Namespace) -> int:
    """Stop a module and remove its code; its data is kept."""
    if not agreed(arguments, f"Remove {arguments.module}? Its data stays."):
        return 1
    return _job(arguments, arguments.module, "uninstall", {}, "{short} is removed; its data is kept.")


def _job(arguments: Namespace, short: str, action: str, body: dict[str, Any], done: str) -> int:
    return _follow(arguments, short, module_path(short, action), body, done)


def _follow(arguments: Namespace, name: str, path: str, body: dict[str, Any], done: str) -> int:
    """Start a job and follow it. The module's name may only be known once the package was read."""
    job = _followed(arguments, name, path, body)
    show(arguments, job, done.format(short=job.get("short", name)))
    return 0


def _followed(arguments: Namespace, name: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
    """Run a job and return it once it succeeded."""
    progress = progress_of(arguments)
    if not arguments.json:
        print(f"{arguments.word} {name} ...", file=sys.stderr)
    client = client_of(arguments)
    try:
        return run_job(client, path, body, progress)
    except CommandError as error:
        more = error.detail.get("error_type") == "more_permissions"
        if not more or not arguments.agree:
            raise
        if not arguments.json:
            print(visible(f"{name} may now {', '.join(error.detail['more'])}."), file=sys.stderr)
        return run_job(client, path, {**body, "permissions": error.detail["permissions"]}, progress)


def cancel(arguments: Namespace) -> int:
    """Cancel a module's operation and report how it ended. Exit code 1 if there is none or it does not end."""
    client = client_of(arguments)
    jobs = client.call("GET", "/api/modules/operations")["operations"]
    job = next((job for job in jobs if job["short"] == arguments.module and job["status"] not in ENDS), None)
    if job is None:
        raise CommandError(f"No operation is running for {arguments.module}.")
    ended = client.call("POST", f"/api/modules/operations/{job['id']}/cancel")
    text = " ".join(str(ended.get("error") or f"{job['kind']} has ended.").splitlines())
    show(arguments, ended, f"{arguments.module}: {text}")
    return 0 if ended.get("outcome") == "cancelled" else 1


def switch(arguments: Namespace) -> int:
    """start, stop or restart a module. Exit code 1 if a started one does not run."""
    answer = client_of(arguments).call("POST", module_path(arguments.module, arguments.word))
    state = answer.get("state") or {}
    word = state.get("state") or "it was not running"
    show(arguments, answer, f"{arguments.module}: {word}. {state.get('reason') or ''}".rstrip())
    return 1 if arguments.word != "stop" and word in _DOWN else 0


def config(arguments: Namespace) -> int:
    """Show a module's configuration, or change it with KEY=VALUE arguments. Exit code 1 if a test of it failed."""
    client = client_of(arguments)
    path = module_path(arguments.module, "config")
    if arguments.test:
        tried = client.call("POST", f"{path}/test", {})
        show(arguments, tried, f"{arguments.module}: {visible(tried['message'])}")
        return 0 if tried["ok"] else 1
    if not arguments.assignments:
        answer = client.call("GET", path)
        show(arguments, answer, settings_table(answer, terminal()))
        return 0
    changes = assigned(arguments.assignments, client.call("GET", path)["schema"])
    answer = client.call("PUT", path, changes)
    show(arguments, answer, f"{arguments.module}: configuration saved.")
    return 0


def assigned(words: Sequence[str], schema: dict[str, Any]) -> dict[str, Any]:
    """The values of KEY=VALUE words, by the types of a schema. Raises CommandError."""
    pairs = [word.partition("=") for word in words]
    for key, equals, _ in pairs:
        if not equals or not key:
            raise CommandError(f"{key!r} is not KEY=VALUE.", code=2)
    return {key: _value(text, _kind(schema, key)) for key, _, text in pairs}


def _kind(schema: dict[str, Any], key: str) -> object:
    """The type of a setting. The schema comes from the module and is not trusted."""
    properties = schema.get("properties")
    told = properties.get(key) if isinstance(properties, dict) else None
    return told.get("type") if isinstance(told, dict) else None


def _value(text: str, kind: object) -> Any:
    """Parse a value typed by the user according to the schema's type.

    >>> _value("5", "integer"), _value("5", "string"), _value("true", "string"), _value("null", "string")
    (5, '5', 'true', None)
    """
    try:
        value = strict_json.read_strictly(text, limit=len(text))
    except BadJson:
        return text
    return text if kind == "string" and value is not None and not isinstance(value, str) else value


def check(arguments: Namespace) -> int:
    """Check a module folder before publishing."""
    from parachute_hub.modules.definition.lint import check as findings_of

    folder = Path(arguments.folder)
    if not folder.is_dir():
        raise CommandError(f"{folder} is not a folder.", code=2)
    findings = [str(finding) for finding in findings_of(folder)]
    text = "\n".join(findings) if findings else f"{folder}: no problems found."
    show(arguments, {"folder": str(folder), "findings": findings}, text)
    return 1 if findings else 0
