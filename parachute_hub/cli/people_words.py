"""People, invitations, vaults, tokens and apps: what the admin app does, as words."""

import sys
import time
from argparse import ArgumentTypeError, Namespace
from collections.abc import Mapping
from typing import Any, Final

from parachute_hub.cli import request_words
from parachute_hub.cli.client import CommandError
from parachute_hub.cli.grammar import Words
from parachute_hub.cli.kinds import APPS, INVITATIONS, PEOPLE, TOKENS, VAULTS, Kind, link_told
from parachute_hub.cli.request_words import Found, Given, Request, option
from parachute_hub.system.log_lines import visible
from parachute_hub.system.timestamps import from_utc

_DAY: Final = 86_400
_MADE: Final = {
    "session_mint": "(the pages)",
    "cli_mint": "(made with the command)",
    "operator_mint": "(this command)",
}
"""What a token without a name is for, by how it was made."""

_OF_A_MINUTE: Final = "service"
"""How those are made with which the hub itself asks a module something. Nobody needs to see them come and go."""

_HOUR: Final = 3600
_ROLES: Final = {"owner": "admin", "member": "member"}


def _share(text: str) -> tuple[str, str]:
    """A vault and what somebody may do there.

    >>> _share("home"), _share("home=read")
    (('home', 'write'), ('home', 'read'))
    """
    name, _, role = text.partition("=")
    if role not in ("", "read", "write"):
        raise ArgumentTypeError(f"write {name}=read or {name}=write")
    return name, role or "write"


_ONE_TIME: Final = "can sign in once with this password and must choose another one then:\n\n    {answer[password]}"
_SHARES: Final = option(
    "--vault",
    dest="vaults",
    action="append",
    type=_share,
    default=[],
    metavar="VAULT[=read]",
    help="a vault to share with them, to write unless =read; several times for more",
    completer=VAULTS.offered,
)
_ROLE: Final = option("--read", action="store_true", help="only to read")


def _vaults_with(arguments: Namespace, found: Found) -> Mapping[str, Any]:
    role = "read" if arguments.read else "write"
    return {"assigned_vaults": {**found["person"]["vaults"], found["vault"]["name"]: role}}


def _vaults_without(arguments: Namespace, found: Found) -> Mapping[str, Any]:
    if arguments.vault not in found["person"]["vaults"]:
        raise CommandError(f"{arguments.vault} is not shared with {arguments.person}. See: parachute people list")
    kept = {name: role for name, role in found["person"]["vaults"].items() if name != arguments.vault}
    return {"assigned_vaults": kept, "own_vaults": [name for name in found["person"]["own_vaults"] if name in kept]}


def _invitation(arguments: Namespace, _found: Found) -> Mapping[str, Any]:
    told = {"name": arguments.name, "note": arguments.note, "username": arguments.username}
    return {
        **{name: value for name, value in told.items() if value},
        "vaults": dict(arguments.vaults),
        "provision_vault": not (arguments.vaults or arguments.no_vault),
        "expires_in": arguments.days * _DAY,
        "max_uses": arguments.uses,
    }


def _invite(word: str) -> Request:
    return Request(
        word=word,
        text="Make a link with which somebody joins, by default with a vault of their own.",
        route="POST /api/invites",
        options=(
            option("--name", help="who it is for, as they are called"),
            option("--note", help="a line for them to read"),
            option("--username", help="the username they get; theirs to choose by default"),
            _SHARES,
            option("--no-vault", action="store_true", help="without a vault"),
            option("--days", type=int, default=7, metavar="N", help="how long the link is valid [7]"),
            option("--uses", type=int, default=1, metavar="N", help="how many people may join with it [1]"),
        ),
        body=_invitation,
        done=link_told,
    )


def _hand_over(given: Given) -> tuple[dict[str, Any], str]:
    """The one who gets it first, so that it is nobody's at no time."""
    vault, giver, taker = given.arguments.vault, given.found["giver"], given.found["taker"]
    role, owned = giver["vaults"].get(vault, "write"), {vault} & {*giver["own_vaults"]}
    told = {}
    for name, person, vaults, own in (
        ("taker", taker, {**taker["vaults"], vault: role}, {*taker["own_vaults"]} | owned),
        (
            "giver",
            giver,
            {other: kept for other, kept in giver["vaults"].items() if other != vault},
            {*giver["own_vaults"]} - owned,
        ),
    ):
        body = {"assigned_vaults": vaults, "own_vaults": sorted(own)}
        told[name] = given.client.call("PATCH", f"/api/users/{person['id']}/vaults", body)["user"]
    return told, f"{vault} is {taker['username']}'s now."


def _remove(given: Given) -> tuple[dict[str, Any], str]:
    arguments, client = given.arguments, given.client
    asked = {
        "heir": PEOPLE.choose(PEOPLE.all(client), arguments.give_to)["id"] if arguments.give_to else None,
        "vaults": "delete" if arguments.delete_vaults else None,
    }
    path = request_words.with_query(f"/api/users/{given.found['person']['id']}", asked)
    return client.call("DELETE", path), f"{arguments.person} was removed."


def _tokens(given: Given) -> tuple[dict[str, Any], str]:
    tokens = TOKENS.all(given.client)
    people, apps = (_called(given, kind) for kind in (PEOPLE, APPS)) if tokens else ({}, {})
    # Who may list all tokens but no people has one without a person, for the command itself.
    mine = not people and len({one["user_id"] for one in tokens}) == 1
    rows = [
        {
            **one,
            "person": people.get(one["user_id"]) or ("you" if mine and one["user_id"] else one["subject"]) or "-",
            "purpose": one["name"] or apps.get(one["client_id"]) or _MADE.get(one["created_via"], "-"),
        }
        for one in tokens
        if one["created_via"] != _OF_A_MINUTE
    ]
    return {"tokens": tokens}, TOKENS.table(rows)


def _called(given: Given, kind: Kind) -> dict[str, str]:
    """Names by id. A member may not list them, and sees only tokens of their own."""
    try:
        return {one[kind.id]: one[kind.names[0]] for one in kind.all(given.client)}
    except CommandError:
        return {}


def _new_token(given: Given) -> tuple[dict[str, Any], str]:
    """The token alone on standard output, for scripts; until when it is valid on standard error."""
    arguments = given.arguments
    told = {"name": arguments.name, "subject": arguments.subject}
    body = {
        "scope": " ".join(arguments.scopes),
        "expires_in": arguments.days * _DAY,
        **{name: value for name, value in told.items() if value},
    }
    asked_at = time.time()
    answer = given.client.call("POST", "/api/auth/mint-token", body)
    text = f"It is valid until {answer['expires_at']}."
    shorter = from_utc(answer["expires_at"]) < asked_at + arguments.days * _DAY - _HOUR
    if shorter:
        text += (
            f" That is shorter than the {arguments.days} days that you asked for: a token that you make over a sign-in "
            "ends with it. For a longer one, run this on the hub's own machine."
        )
    if shorter or not arguments.json:
        print(visible(text), file=sys.stderr)
    return answer, str(answer["token"])


PEOPLE_WORDS: Final = (
    Request(word="people list", text="Show who has an account.", route="GET /api/users", shows=PEOPLE),
    _invite("people invite"),
    Request(
        word="people add",
        text="Make an account with a temporary password. An invitation lets people choose their own.",
        route="POST /api/users",
        options=(
            option("username", help="what they sign in with"),
            option("--owner", action="store_true", help="they run this hub, too"),
            _SHARES,
        ),
        body=lambda arguments, _: {
            "username": arguments.username,
            "role": "admin" if arguments.owner else "member",
            "assigned_vaults": dict(arguments.vaults),
        },
        password="password",
        done="{username} " + _ONE_TIME,
    ),
    Request(
        word="people role",
        text="Make somebody an owner of this hub, or a member.",
        route="PATCH /api/users/<user_id>/role",
        chooses={"person": PEOPLE},
        options=(option("role", choices=tuple(_ROLES), help="owners run the hub; members use it"),),
        body=lambda arguments, _: {"role": _ROLES[arguments.role]},
        done="{person} is {role} now, and must sign in again.",
    ),
    Request(
        word="people reset",
        text="Give somebody a temporary password. It signs them out and disconnects their apps.",
        route="POST /api/users/<user_id>/reset-password",
        chooses={"person": PEOPLE},
        asks="Sign {person} out everywhere, and give them a temporary password?",
        password="new_password",
        done="{person} " + _ONE_TIME,
    ),
    Request(
        word="people second-factor-off",
        text="Turn off the second factor of somebody who lost it, and remove their passkeys.",
        route="DELETE /api/users/<user_id>/second-factor",
        chooses={"person": PEOPLE},
        asks="Let {person} sign in with the password alone?",
        done="{person} now signs in with the password only.",
    ),
    Request(
        word="people remove",
        text="Remove somebody. Their notes stay: for the owners, or for the person you give their vaults to.",
        route="DELETE /api/users/<user_id>",
        chooses={"person": PEOPLE},
        options=(
            option(
                "--give-to",
                metavar="PERSON",
                help="who gets those of their vaults that nobody else uses; the owners by default",
                completer=PEOPLE.offered,
            ),
            option(
                "--delete-vaults",
                action="store_true",
                help="delete their own vaults that nobody else uses, after 30 days",
            ),
        ),
        asks="Remove {person}? This signs them out everywhere and revokes their tokens.",
        act=_remove,
    ),
)


INVITATION_WORDS: Final = (
    Request(
        word="invitations list", text="Show invitations and who joined.", route="GET /api/invites", shows=INVITATIONS
    ),
    _invite("invitations new"),
    Request(
        word="invitations show",
        text="Show the link of an invitation again.",
        route="POST /api/invites/<invite_id>/link",
        chooses={"invitation": INVITATIONS},
        body=lambda *_: {},
        done=link_told,
    ),
    Request(
        word="invitations revoke",
        text="End an invitation: its link works no longer.",
        route="DELETE /api/invites/<invite_id>",
        chooses={"invitation": INVITATIONS},
        asks="End the invitation {invitation}? Its link works no longer.",
        done="The link works no longer.",
    ),
)
VAULT_WORDS: Final = (
    Request(
        word="vaults list",
        text="Show the vaults, with their addresses for assistants.",
        route="GET /vaults",
        shows=VAULTS,
    ),
    Request(
        word="vaults new",
        text="Make a vault. Its first key is shown once.",
        route="POST /vaults",
        options=(option("name", help="lower case letters, digits, dashes"),),
        body=lambda arguments, _: {"name": arguments.name},
        done="{name} is at {answer[url]}. Its key, shown only now:\n\n    {answer[token]}",
    ),
    Request(
        word="vaults share",
        text="Let somebody write in a vault, or read it.",
        route="PATCH /api/users/<user_id>/vaults",
        fills="person",
        chooses={"vault": VAULTS, "person": PEOPLE},
        options=(_ROLE,),
        body=_vaults_with,
        done="{vault} is shared with {person}.",
    ),
    Request(
        word="vaults end-share",
        text="End somebody's access to a vault. The notes stay.",
        route="PATCH /api/users/<user_id>/vaults",
        first=(option("vault", help="the vault's name", completer=VAULTS.offered),),
        chooses={"person": PEOPLE},
        body=_vaults_without,
        done="{vault} is no longer shared with {person}.",
    ),
    Request(
        word="vaults remove",
        text="Delete a vault in 30 days. Until then it can be kept.",
        route="PUT /vaults/<name>/deletion",
        chooses={"vault": VAULTS},
        asks="Delete {vault} with all its notes in 30 days?",
        done="{vault} is deleted on {answer[deletion][due_at]}. `parachute vaults keep {vault}` keeps it.",
    ),
    Request(
        word="vaults keep",
        text="Keep a vault that is to be deleted.",
        route="DELETE /vaults/<name>/deletion",
        chooses={"vault": VAULTS},
        done="{vault} stays.",
    ),
    Request(
        word="vaults hand-over",
        text="Give a vault to somebody else: one person loses the access that the other gets.",
        route="PATCH /api/users/<user_id>/vaults",
        chooses={"vault": VAULTS, "giver": PEOPLE, "taker": PEOPLE},
        asks="Take {vault} from {giver}, and give it to {taker}?",
        act=_hand_over,
    ),
)
TOKEN_WORDS: Final = (
    Request(word="tokens list", text="Show the tokens that are valid now.", route="GET /api/auth/tokens", act=_tokens),
    Request(
        word="tokens new",
        text="Make a token for a script. It is shown once.",
        route="POST /api/auth/mint-token",
        options=(
            option("scopes", nargs="+", metavar="SCOPE", help="what it may do, such as vault:home:read"),
            option("--days", type=int, default=90, metavar="N", help="how long it is valid [90]"),
            option("--name", help="what it is for, as the list of tokens shows it"),
            option("--subject", help="what to call whoever uses it"),
        ),
        act=_new_token,
    ),
    Request(
        word="tokens revoke",
        text="End a token now. One that an app got ends the whole connection.",
        route="POST /api/auth/revoke-token",
        chooses={"token": TOKENS},
        asks="End the token {token}? What uses it stops working.",
        body=lambda _, found: {"jti": found["token"]["jti"]},
        done="The token works no longer.",
    ),
    Request(
        word="tokens renew-operator",
        text="Replace the token that this command uses.",
        route="POST /api/auth/rotate-operator",
        body=lambda *_: {},
        done="There is a new operator.token; the old one works no longer.",
    ),
    Request(
        word="tokens renew-key",
        text="Sign new tokens with a new key, ten minutes from now. Tokens that exist stay valid.",
        route="POST /api/auth/rotate-key",
        asks="Sign new tokens with a new key?",
        body=lambda *_: {},
        done="The new key is {answer[kid]}.",
    ),
)
APP_WORDS: Final = (
    Request(word="apps list", text="Show the apps that registered here.", route="GET /api/oauth/clients", shows=APPS),
    Request(
        word="apps approve",
        text="Let people connect an app that waits for an owner.",
        route="POST /api/oauth/clients/<path:client_id>/approve",
        chooses={"app": APPS},
        body=lambda *_: {},
        done="People can connect {app} now.",
    ),
    Request(
        word="apps revoke",
        text="Remove an app: everybody's connections to it end.",
        route="DELETE /oauth/clients/<client_id>",
        chooses={"app": APPS},
        asks="Disconnect {app} for everybody, and forget it?",
        done="{app} is disconnected and forgotten.",
    ),
)


def add_words(words: Words) -> None:
    """Add them to the grammar."""
    for name, text, requests in (
        ("people", "Who has an account: add, change, remove.", PEOPLE_WORDS),
        ("invitations", "Links with which people join.", INVITATION_WORDS),
        ("vaults", "Vaults hold notes: make, share, hand over.", VAULT_WORDS),
        ("tokens", "Tokens for scripts: make, end.", TOKEN_WORDS),
        ("apps", "Apps that connect to this hub: approve, remove.", APP_WORDS),
    ):
        request_words.add(words.group(name, text), requests)
