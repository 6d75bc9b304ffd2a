"""Asks the owner before installing a version that requests more permissions."""

import shlex
from collections.abc import Sequence
from typing import Any

from parachute_hub.jobs.runner import JobFailed
from parachute_hub.modules.definition.permissions import Permissions
from parachute_hub.modules.definition.validation import Invalid
from parachute_hub.site.errors import Refused

MORE = "more_permissions"
INIT = "init_command"


def agree(short: str, package: str, asked: Permissions, granted: Permissions) -> None:
    """Raise JobFailed, naming the additional permissions and how to agree, unless `granted` covers them."""
    more = asked.beyond(granted)
    if more:
        raise JobFailed(
            f"{short} wants to {_listed(more)}. Nothing was changed. Agree to it on its page, or run the command again "
            "with --agree.",
            {"error_type": MORE, "more": list(more), "package": package, "permissions": asked.to_json()},
        )


def agree_to_init(short: str, words: Sequence[str], decided: bool | None) -> None:
    """Raise JobFailed, naming the command that the package wants to run once, unless the owner has decided."""
    if decided is None:
        raise JobFailed(
            f"{short} wants to run a command of its own before its first start: {shlex.join(words)}. Nothing was "
            "changed. Choose on its page whether it may, or run the command again with --init or --without-init.",
            {"error_type": INIT, "command": list(words)},
        )


def granted_of(body: dict[str, Any]) -> Permissions | None:
    """The permissions the owner agrees to. Raises Refused 400."""
    given = body.get("permissions")
    try:
        return None if given is None else Permissions.parse(given)
    except Invalid as error:
        raise Refused(400, "invalid_request", str(error)) from None


def _listed(words: tuple[str, ...]) -> str:
    """
    >>> _listed(("a", "b", "c"))
    'a, b and c'
    """
    return " and ".join((", ".join(words[:-1]), words[-1])) if words[1:] else words[0]
