"""The hub's address, settings, problems and audit log, and the data of modules, as words."""

import sys
import time
from argparse import Namespace
from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import urlencode

from parachute_hub.cli import completion, limits, request_words
from parachute_hub.cli.client import CommandError, module_path
from parachute_hub.cli.commands import ORIGIN, address_of, assigned, progress_of
from parachute_hub.cli.grammar import Words, agreed, path_of
from parachute_hub.cli.kinds import ACTS, PROBLEMS, ROOM
from parachute_hub.cli.logs import TIME_HELP, moment
from parachute_hub.cli.meant import meant
from parachute_hub.cli.progress import run_job
from parachute_hub.cli.request_words import YES, Found, Given, Request, option
from parachute_hub.cli.tables import plain, size

_ADDRESS: Final = "address-"
_LOOKS: Final = 2
"""The check of the address says nothing of a first failure."""

_SOURCES: Final = {"settings": "chosen in Settings or with this command", "none": "only this machine reaches it"}


def _address_told(answer: Mapping[str, Any]) -> str:
    source = _SOURCES.get(answer["source"], f"set by {answer['source']}")
    others = [origin for origin in answer["origins"] if origin != answer["resolved_issuer"]]
    return "\n".join([f"{answer['resolved_issuer']} ({source})", *(f"also: {origin}" for origin in others)])


def _plan(given: Given) -> dict[str, Any]:
    address = vars(given.arguments).get("address") or ""
    return dict(given.client.call("GET", f"{ORIGIN}/plan?{urlencode({'hub_origin': address})}"))


def _planned(plan: Mapping[str, Any]) -> list[str]:
    """What a change of the address means, a line for each thing."""
    lines = [plan["unreachable"]] if plan["unreachable"] else []
    if plan["renew"]["apps"]:
        lines.append(f"Connect these apps again: {', '.join(plan['renew']['apps'])}.")
    if plan["renew"]["invitations"]:
        lines.append("Send the links of open invitations again.")
    for loss in plan["passkeys"]:
        then = (
            "has no way in then: new recovery codes come first" if loss["locked_out"] else "signs in by password then"
        )
        named = ", ".join(loss["passkeys"])
        lines.append(
            f"{loss['person']['name']} loses {'all' if loss['all'] else 'some'} passkeys ({named}), and {then}."
        )
    return lines


def _warn_of_move(given: Given) -> str:
    return "".join(f"{line}\n" for line in _planned(_plan(given)))


def _show_plan(given: Given) -> tuple[dict[str, Any], str]:
    plan = _plan(given)
    if plan["from"] == plan["to"]:
        return plan, f"{plan['to']} is the address already."
    return plan, "\n".join([f"From {plan['from']} to {plan['to']}:", *(_planned(plan) or ["Nothing is lost."])])


def _show_address(given: Given) -> tuple[dict[str, Any], str]:
    answer = given.client.call("GET", ORIGIN)
    return answer, _address_told(answer)


def _check_address(given: Given) -> tuple[dict[str, Any], str]:
    """With the checks that the hub runs by itself. Raises CommandError if they found something."""
    for _ in range(_LOOKS):
        found = given.client.call("POST", "/api/problems/look", {})["problems"]
    wrong = [problem for problem in found if problem["key"].startswith(_ADDRESS)]
    address = given.client.call("GET", ORIGIN)["resolved_issuer"]
    if wrong and not given.arguments.json:
        raise CommandError("\n".join(f"{problem['title']}. {problem['text']}" for problem in wrong))
    return {"address": address, "problems": wrong}, f"Nothing is wrong with {address}."


def _settings(given: Given) -> tuple[dict[str, Any], str]:
    modules = given.client.call("GET", "/api/modules")
    address = given.client.call("GET", ORIGIN)
    room = given.client.call("GET", ROOM.path)
    channel = modules["module_install_channel"]
    told = {
        "address": address["resolved_issuer"],
        "channel": channel,
        "channel_fixed": modules["module_install_channel_fixed"],
        "disk": {"free": room["free"], "total": room["total"]},
    }
    fixed = " (set where the hub runs)" if told["channel_fixed"] else ""
    lines = (
        f"address   {_address_told(address)}".replace("\n", f"\n{' ' * 10}"),
        f"releases  {'early versions, rc' if channel == 'rc' else 'released versions, latest'}{fixed}",
        f"disk      {size(room['free'])} of {size(room['total'])} free",
    )
    return told, "\n".join(lines)


def _module_settings(given: Given) -> tuple[dict[str, Any], str]:
    """What the hub does with a module; with assignments, changed. Raises CommandError."""
    path = module_path(given.arguments.module, "settings")
    changes = assigned(given.arguments.assignments, {})
    answer = given.client.call("GET", path)
    for name in changes:
        if name not in answer:
            raise CommandError(f"There is no setting {name}. {meant(name, answer)}".rstrip(), code=2)
    answer = given.client.call("PUT", path, changes) if changes else answer
    width = max(map(len, answer))
    return answer, "\n".join(f"{name.ljust(width)}  {plain(value)}" for name, value in answer.items())


def _fix(given: Given) -> tuple[dict[str, Any], str]:
    """The first fix that is a request. Raises CommandError where a person has to do something."""
    problem = given.found["problem"]
    fix = next((fix for fix in problem["fixes"] if fix["request"]), None)
    if fix is None:
        address = address_of(given.client)
        pages = (f": {address}{one['page']}" if one["page"] else "" for one in problem["fixes"])
        words = " ".join(f"{one['label']}{page}" for one, page in zip(problem["fixes"], pages, strict=True))
        raise CommandError(f"This needs you. {words}")
    if not fix["safe"] and not agreed(given.arguments, f"{fix['label']}?"):
        raise CommandError("Nothing was changed.")
    asked = fix["request"]
    if asked["method"] == "POST":
        answer = run_job(given.client, asked["path"], asked["body"] or {}, progress_of(given.arguments))
    else:
        answer = given.client.call(asked["method"], asked["path"], asked["body"] or {})
    return {"key": problem["key"], "fix": fix["label"], "answer": answer}, f"Done: {fix['label']}"


def _only(arguments: Namespace, _found: Found) -> Mapping[str, Any]:
    now = time.time()
    return {
        "q": arguments.text,
        "actor": arguments.by,
        "action": arguments.actions,
        "outcome": arguments.outcome,
        "since": moment(arguments.since, now),
        "until": moment(arguments.until, now),
    }


def _export(given: Given) -> tuple[dict[str, Any], str | None]:
    """To a new file, or to standard output."""
    target = given.arguments.file
    path = request_words.with_query(
        "/api/audit/export", {"format": given.arguments.format, **_only(given.arguments, {})}
    )
    if target is None:
        given.client.save(path, sys.stdout.buffer)
        return {}, None
    if target.exists():
        raise CommandError(f"{target} exists. Choose another name.")
    try:
        with target.open("xb") as file:
            written = given.client.save(path, file)
    except CommandError:
        # A part of it would be in the way of the next try.
        target.unlink()
        raise
    return {"file": str(target), "bytes": written}, f"{target} holds the audit log, {size(written)}."


def _by_key(_arguments: Namespace, found: Found) -> Mapping[str, Any]:
    return {"key": found["problem"]["key"]}


_FILTERS: Final = (
    option("--text", help="entries with this text anywhere"),
    option("--by", metavar="NAME", help="what this person or token did"),
    option(
        "--action",
        dest="actions",
        action="append",
        metavar="ACTION",
        help="such as sign-in or app-connected; several times for more",
    ),
    option("--outcome", choices=("ok", "not-ok"), help="what worked, or what did not"),
    option("--since", metavar="TIME", help=TIME_HELP),
    option("--until", metavar="TIME", help="up to then"),
)
ADDRESS_WORDS: Final = (
    Request(
        word="address show",
        text="Show the hub's public address and where it was set.",
        route="GET /api/settings/hub-origin",
        act=_show_address,
    ),
    Request(
        word="address plan",
        text="Show what a change of the public address would mean: apps to connect again, passkeys that end.",
        route="GET /api/settings/hub-origin/plan",
        options=(option("address", help="such as https://hub.example.com"),),
        act=_show_plan,
    ),
    Request(
        word="address set",
        text="Change the public address. Apps have to be connected again.",
        route="PUT /api/settings/hub-origin",
        options=(option("address", help="such as https://hub.example.com"),),
        asks="Change the address to {address}? Connected apps have to be connected again.",
        warns=_warn_of_move,
        body=lambda arguments, _: {"hub_origin": arguments.address},
        done="The address is {answer[resolved_issuer]} now.",
    ),
    Request(
        word="address reset",
        text="Use the address that the hub was started with again.",
        route="PUT /api/settings/hub-origin",
        asks="Forget the chosen address? Connected apps have to be connected again.",
        warns=_warn_of_move,
        body=lambda *_: {"hub_origin": None},
        done="The address is {answer[resolved_issuer]} now.",
    ),
    Request(
        word="address check",
        text="Ask for the hub at its public address, and look at the certificate.",
        route="POST /api/problems/look",
        act=_check_address,
    ),
)
SETTINGS_WORDS: Final = (
    Request(
        word="settings show",
        text="Show the address, which releases are taken, and the disk.",
        route="GET /api/modules",
        act=_settings,
    ),
    Request(
        word="settings channel",
        text="Choose which releases of modules to take.",
        route="PUT /api/modules/channel",
        options=(option("channel", choices=("latest", "rc"), help="released or early versions"),),
        body=lambda arguments, _: {"channel": arguments.channel},
        done="Modules are taken from {answer[channel]} now.",
    ),
    Request(
        word="settings module",
        text="Show or change what the hub does with a module: autostart, isolation, exposure, ...",
        route="PUT /api/modules/<short>/settings",
        options=(
            option("module", help="the module's short name", completer=completion.installed_modules),
            option("assignments", nargs="*", metavar="NAME=VALUE", help="what to change; null for none"),
        ),
        act=_module_settings,
    ),
    Request(
        word="settings limits",
        text="Show or change how much memory and processor time a module may use.",
        route="PUT /api/modules/<short>/settings",
        options=(
            option("module", help="the module's short name", completer=completion.installed_modules),
            option("--memory", type=limits.memory, metavar="MB", help="such as 256 or 2G; none, or usual"),
            option("--cpu", type=limits.processor, metavar="PERCENT", help="100 is one processor; none, or usual"),
        ),
        act=limits.limit,
    ),
    Request(word="settings disk", text="Show what takes up the disk.", route="GET /api/modules/disk", shows=ROOM),
    Request(
        word="settings clear-disk",
        text="Delete downloads and versions that are not needed.",
        route="POST /api/modules/disk/clear",
        asks="Delete downloads, and the versions of modules that `rollback` could go back to?",
        body=lambda *_: {},
        done="{answer[freed]} bytes are free again.",
    ),
)
PROBLEM_WORDS: Final = (
    Request(word="problems list", text="Show what is wrong now.", route="GET /api/problems", shows=PROBLEMS),
    Request(
        word="problems look",
        text="Check everything now, and show what is wrong.",
        route="POST /api/problems/look",
        body=lambda *_: {},
        shows=PROBLEMS,
    ),
    Request(
        word="problems fix",
        text="Fix a problem in the way that the hub proposes first.",
        route="the problem's own",
        chooses={"problem": PROBLEMS},
        options=(YES,),
        act=_fix,
    ),
    Request(
        word="problems dismiss",
        text="Hide a problem until it changes.",
        route="POST /api/problems/dismiss",
        chooses={"problem": PROBLEMS},
        body=_by_key,
        done="{problem} is hidden until it changes.",
    ),
    Request(
        word="problems restore",
        text="Show a dismissed problem again.",
        route="POST /api/problems/restore",
        chooses={"problem": PROBLEMS},
        body=_by_key,
        done="{problem} is shown again.",
    ),
)
AUDIT_WORDS: Final = (
    Request(
        word="audit list",
        text="Show who did what, the newest first, a hundred at a time.",
        route="GET /api/audit",
        options=(*_FILTERS, option("--before", type=int, metavar="NUMBER", help="the entries before this one")),
        query=lambda arguments, found: {**_only(arguments, found), "before": arguments.before},
        shows=ACTS,
    ),
    Request(
        word="audit export",
        text="Write the log to a file, or to standard output.",
        route="GET /api/audit/export",
        options=(
            option("file", nargs="?", type=path_of, help="a new file"),
            option("--format", choices=("csv", "json"), default="csv", help="[csv]"),
            *_FILTERS,
        ),
        act=_export,
    ),
)


DATA_WORDS: Final = tuple(
    Request(
        word=word,
        text=text,
        route=f"POST /api/modules/<short>/{word}",
        fills="module",
        options=(option("module", help="the module's short name", completer=completion.installed_modules),),
        asks=asks,
        job=True,
        done=done,
    )
    for word, text, asks, done in (
        (
            "restore-data",
            "Put back a module's data as it was before its last change of version.",
            "Put back the data of {module} from before its last change of version?",
            "The data of {module} is as it was before.",
        ),
        (
            "delete-data",
            "Delete the data of a module that was uninstalled.",
            "Delete all data of {module}? Only a backup brings it back.",
            "The data of {module} is deleted.",
        ),
    )
)


def add_words(words: Words) -> None:
    """Add them to the grammar."""
    request_words.add(words, DATA_WORDS)
    groups: Iterable[tuple[str, str, tuple[Request, ...]]] = (
        ("address", "The hub's public address.", ADDRESS_WORDS),
        ("settings", "Settings of the hub and of its modules, and disk space.", SETTINGS_WORDS),
        ("problems", "What is wrong now, and what to do.", PROBLEM_WORDS),
        ("audit", "Who did what.", AUDIT_WORDS),
    )
    for name, text, requests in groups:
        request_words.add(words.group(name, text), requests)
