"""What a restore brings and what it takes the place of, for a terminal."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from parachute_hub.cli.client import CommandError
from parachute_hub.cli.tables import size


def whole_plan(state: Mapping[str, Any]) -> str:
    """A whole backup. `state` is the API's answer once the archive was read."""
    modules = ", ".join(one["short"] for one in state["backup"]["modules"]) or "no modules"
    return "\n".join(
        [
            f"{_made(state)} It has {modules}, {size(state['result']['size'])}.",
            "It takes the place of everything that this hub has now.",
            *connect_again(state),
        ]
    )


def part_plan(state: Mapping[str, Any], part: Mapping[str, str]) -> str:
    """One module's data or one vault. Raises CommandError when the backup does not have it."""
    kind, name = ("vaults", part["vault"]) if "vault" in part else ("modules", part["module"])
    found = state["result"][kind].get(name)
    if found is None:
        raise CommandError(f"This backup has no {'vault' if kind == 'vaults' else 'data of'} {name}.")
    lines = [f"{_made(state)} {name} has {found['files']} files, {size(found['size'])}."]
    if kind == "modules":
        lines.append(f"It takes the place of everything that {name} keeps on this hub.")
    elif (goes_to := part.get("as", name)) in state["replaces"]["vaults"]:
        lines.append(f"It takes the place of the vault {goes_to}. To keep both, give it another name with --as.")
    else:
        lines.append(f"It becomes the vault {goes_to}, beside the others.")
    return "\n".join([*lines, *_other_version(state, "vault" if kind == "vaults" else name)])


def connect_again(state: Mapping[str, Any]) -> list[str]:
    """What stops working because this hub has another address than the one that made the backup."""
    here = state["replaces"]["origin"]
    if state["backup"]["origin"] == here:
        return []
    apps = ", ".join(state["result"].get("apps", ())) or "apps such as Claude"
    return [f"This hub has another address, {here}. These must be connected to it again: {apps}."]


def when(seconds: float) -> str:
    """A local date and time, from epoch seconds."""
    return datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d %H:%M")


def _made(state: Mapping[str, Any]) -> str:
    return f"The backup was made {when(state['backup']['created_at'])} at {state['backup']['origin']}."


def _other_version(state: Mapping[str, Any], short: str) -> list[str]:
    then = next((one["version"] for one in state["backup"]["modules"] if one["short"] == short), None)
    now = state["replaces"]["versions"].get(short)
    if then is None or now in (None, then):
        return []
    return [f"It was written by {short} {then}, and this hub has {now}. If that cannot use it, nothing changes."]
