"""What the hub has lists of, and how people name one of it in a command."""

from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from attrs import field

from parachute_hub.cli.client import CommandError, HubClient
from parachute_hub.cli.meant import meant
from parachute_hub.cli.tables import size, table
from parachute_hub.cli.terminal import terminal
from parachute_hub.cli.which_hub import client_of
from parachute_hub.settings import BadSetting
from parachute_hub.system.log_lines import visible
from parachute_hub.system.networks import opens_only_here
from parachute_hub.system.records import frozen

Item = Mapping[str, Any]


@frozen(kw_only=True)
class Kind:
    """One list of the API: at `path`, in its member `key`. `columns` say how a table shows an item.

    An item is named by its member `id`, one of its `names`, the beginning of its id, or its number in the list.
    """

    called: str
    path: str
    key: str
    id: str = "id"
    names: tuple[str, ...] = ()
    see: str
    columns: Mapping[str, Callable[[Item], object]] = field(factory=dict)
    none: str = "There is nothing yet."
    numbered: bool = False

    def all(self, client: HubClient) -> list[Item]:
        """Every item, from as many pages as there are."""
        answer = client.call("GET", self.path)
        found = list(answer[self.key])
        while cursor := answer.get("next_cursor"):
            answer = client.call("GET", f"{self.path}{'&' if '?' in self.path else '?'}cursor={cursor}")
            found += answer[self.key]
        return found

    def choose(self, items: Sequence[Item], wanted: str) -> Item:
        """The item that somebody means. Raises CommandError, which suggests one that is spelled alike."""
        if not wanted:
            raise CommandError(f"The name of the {self.called} is empty. See: {self.see}", code=2)
        for number, item in enumerate(items, 1):
            if wanted == item[self.id] or (self.numbered and wanted == str(number)):
                return item
        named = [item for item in items if wanted in [item[name] for name in self.names]]
        named = named or [item for item in items if len(wanted) >= 6 and str(item[self.id]).startswith(wanted)]
        if len(named) == 1:
            return named[0]
        if named:
            raise CommandError(f"{len(named)} go by {wanted}. Name one by its id: {self.see}")
        hint = meant(wanted, self._offered(items)) or f"See: {self.see}"
        raise CommandError(f"There is no {self.called} {wanted}. {hint}")

    def offered(self, prefix: str, parsed_args: Namespace, **_: object) -> list[str]:
        """For completion in a shell: the names. Without a hub, none."""
        given = Namespace(**{name: vars(parsed_args).get(name) for name in ("home", "hub")})
        try:
            return [visible(name) for name in self._offered(self.all(client_of(given, quick=True)))]
        except (CommandError, BadSetting, OSError):
            return []

    def table(self, items: Sequence[Item]) -> str:
        """For people."""
        rows = [tuple(str(cell(item)) for cell in self.columns.values()) for item in items]
        return table(tuple(self.columns), rows, terminal()) if rows else self.none

    def _offered(self, items: Sequence[Item]) -> list[str]:
        shown = self.names[:1] or (self.id,)
        return [str(item[shown[0]] or item[self.id]) for item in items]


def _vaults(item: Item) -> str:
    return ", ".join(f"{name} ({role})" for name, role in item["vaults"].items())


def _host(uri: str) -> str:
    return uri.partition("://")[2].partition("/")[0] or uri


def _day(text: str | None) -> str:
    """The date and minute of a time as the API writes it."""
    return (text or "-")[:16].replace("T", " ")


PEOPLE: Final = Kind(
    called="person",
    path="/api/users",
    key="users",
    names=("username", "display_name"),
    see="parachute people list",
    columns={
        "PERSON": lambda one: one["username"],
        "NAME": lambda one: one["display_name"],
        "ROLE": lambda one: "owner" if one["role"] == "admin" else "member",
        "VAULTS": lambda one: "all" if one["role"] == "admin" else _vaults(one) or "-",
        "2ND FACTOR": lambda one: "yes" if one["second_factor"] else "-",
    },
)
INVITATIONS: Final = Kind(
    called="invitation",
    path="/api/invites",
    key="invites",
    names=("name", "username"),
    see="parachute invitations list",
    columns={
        "FOR": lambda one: one["name"] or one["username"] or "(whoever has the link)",
        "STATE": lambda one: one["status"],
        "VAULTS": lambda one: "one of their own" if one["own_vault"] else _vaults(one) or "-",
        "JOINED": lambda one: f"{one['used_count']} of {one['max_uses']}",
        "UNTIL": lambda one: _day(one["expires_at"]),
        "ID": lambda one: one["id"][:12],
    },
    none="There are no invitations. Make one: parachute people invite --name Ada",
)
VAULTS: Final = Kind(
    called="vault",
    path="/vaults",
    key="vaults",
    id="name",
    see="parachute vaults list",
    columns={
        "VAULT": lambda one: one["name"],
        "OF": lambda one: one["owner"] or "-",
        "SIZE": lambda one: size(one["bytes"]),
        "ADDRESS FOR ASSISTANTS": lambda one: one["mcp_url"],
        "DELETED ON": lambda one: _day(one["deletion"] and one["deletion"]["due_at"]),
    },
    none="There are no vaults yet. Make one: parachute vaults new home",
)
TOKENS: Final = Kind(
    called="token",
    path="/api/auth/tokens?revoked=false",
    key="tokens",
    id="jti",
    names=("name",),
    see="parachute tokens list",
    columns={
        "OF": lambda one: one["person"],
        "FOR": lambda one: one["purpose"],
        "MAY": lambda one: " ".join(one["scopes"]),
        "UNTIL": lambda one: _day(one["expires_at"]),
        "ID": lambda one: one["jti"],
    },
    none="No token is valid now.",
)
APPS: Final = Kind(
    called="app",
    path="/api/oauth/clients",
    key="clients",
    id="client_id",
    names=("client_name",),
    see="parachute apps list",
    columns={
        "APP": lambda one: one["client_name"],
        "STATE": lambda one: one["status"],
        "LEADS TO": lambda one: ", ".join(dict.fromkeys(map(_host, one["redirect_uris"]))),
        "ID": lambda one: one["client_id"],
    },
    none="No app is registered.",
)
PROBLEMS: Final = Kind(
    called="problem",
    path="/api/problems",
    key="problems",
    id="key",
    names=("title",),
    see="parachute problems list",
    columns={
        "SEVERITY": lambda one: one["severity"],
        "PROBLEM": lambda one: one["title"] + (" (dismissed)" if one["dismissed"] else ""),
        "SINCE": lambda one: _day(one["since"]),
        "KEY": lambda one: one["key"],
    },
    none="No problems.",
)
ACTS: Final = Kind(
    called="entry",
    path="/api/audit",
    key="acts",
    id="number",
    see="parachute audit list",
    columns={
        "TIME": lambda one: _day(one["at"]),
        "WHO": lambda one: one["actor"] or "-",
        "DID": lambda one: one["action"],
        "WITH": lambda one: one["subject"],
        "OUTCOME": lambda one: one["outcome"] + (f": {one['why']}" if one["why"] else ""),
        "FROM": lambda one: one["address"] or one["means"] or "-",
    },
    none="Nothing was recorded that fits.",
)
ROOM: Final = Kind(
    called="owner of disk space",
    path="/api/modules/disk",
    key="owners",
    see="parachute settings disk",
    columns={
        "USED BY": lambda one: one["name"],
        "FOR": lambda one: one["kind"],
        "SIZE": lambda one: size(one["bytes"]),
    },
)
PLACES: Final = Kind(
    called="destination",
    path="/api/backups",
    key="places",
    names=("label",),
    see="parachute backup list",
    numbered=True,
)
DESTINATIONS: Final = Kind(
    called="destination",
    path="/api/notices",
    key="destinations",
    names=("label",),
    see="parachute notices list",
    numbered=True,
)


_HERE_ONLY: Final = (
    "This link opens only on this hub's own computer. For people elsewhere, open a way to the hub first "
    "(parachute expose), and then show the link again (parachute invitations show)."
)


def link_told(answer: dict[str, Any]) -> str:
    """The link of an invitation, and what to do with it."""
    until = f" It is valid until {answer['invite']['expires_at']}." if "invite" in answer else ""
    return f"{answer['url']}\n\n{_HERE_ONLY if opens_only_here(answer['url']) else 'Send this link.'}{until}"
