"""What to do with an authorization request: decided from facts, without doing it (OAuth 2.1 4.1, RFC 9700).

The order is the protection: nothing is sent to a redirect URI before client and URI are known to belong together,
nothing is shown before it is known who looks, and nothing is given without a consent that was read.
"""

import re
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from attrs import frozen

from parachute_hub.oauth.authorization import redirects, resource
from parachute_hub.oauth.authorization.resource import InvalidTarget, Target, narrow
from parachute_hub.oauth.authorization.scopes import (
    DEFAULT_WISH,
    Catalog,
    Risk,
    attenuate,
    authority_of,
    covers,
    requestable,
    vault_scope,
)
from parachute_hub.oauth.authorization.scopes import split as split_scopes
from parachute_hub.oauth.tokens.grant_policy import CHALLENGE
from parachute_hub.store.rows import Client, User

PARAMETERS = (
    "client_id",
    "redirect_uri",
    "response_type",
    "scope",
    "state",
    "code_challenge",
    "code_challenge_method",
    "resource",
    "vault",
    "prompt",
)
MAX_STATE = 2048


@frozen(kw_only=True)
class Ask:
    """An authorization request: its parameters, each once; `repeated` names those that came more than once."""

    values: Mapping[str, str]
    repeated: frozenset[str] = frozenset()

    def __getitem__(self, name: str) -> str:
        return self.values.get(name, "")


@frozen(kw_only=True)
class Facts:
    """What is known when the request comes. `client` and `user` are None when there is none.

    `granted`: what the user allowed to the client before. `origins`: all origins of this hub;
    `own_origins`: those to which a code may be sent without a question.
    """

    client: Client | None
    user: User | None
    granted: tuple[str, ...]
    catalog: Catalog
    origins: Sequence[str]
    own_origins: Sequence[str]


@frozen(kw_only=True)
class Row:
    """One scope to tick. `scope` is its name on the wire; `ticked` whether it starts so."""

    scope: str
    text: str
    risk: Risk
    ticked: bool


@frozen
class Stop:
    """A page for the person; nothing goes to the redirect URI. `back` is where a button may lead, if anywhere."""

    status: int
    title: str
    text: str
    back: str | None = None


@frozen
class Back:
    """Send the person back to the app with an error (RFC 6749 4.1.2.1)."""

    error: str
    description: str


@frozen
class SignIn:
    """Nobody is signed in."""


@frozen
class NeedsOwner:
    """The app waits for an owner's word, and this person is none."""

    client: Client


@frozen(kw_only=True)
class Consent:
    """Ask the person. `vaults` is the choice for scopes that name none; `chosen` is preselected.

    `approves`: the app is new and this person's yes is also the owner's word for it.
    """

    client: Client
    rows: tuple[Row, ...]
    vaults: tuple[str, ...]
    chosen: str | None
    target: Target | None
    approves: bool


@frozen(kw_only=True)
class Issue:
    """Give a code for these scopes. `needs_proof`: only after the person's password or second factor."""

    client: Client
    scopes: tuple[str, ...]
    target: Target | None
    needs_proof: bool = False
    approves: bool = False


Verdict: TypeAlias = Stop | Back | SignIn | NeedsOwner | Consent | Issue


@frozen(kw_only=True)
class Answer:
    """The consent form as it came back."""

    yes: bool
    ticked: frozenset[str]
    vault: str | None = None


def decide(ask: Ask, facts: Facts) -> Verdict:
    """What comes next for this request.

    Anybody can register an app, so errors take nobody to one that nobody has vouched for: a link to the hub must not
    lead on to a stranger's page by itself (RFC 9700 4.11.2).
    """
    verdict = _judge(ask, facts)
    if isinstance(verdict, Back) and facts.client is not None and facts.client.status == "pending":
        return Stop(
            400,
            "This app cannot be connected so",
            f"{verdict.description} The app is not approved here, so you are not sent back to it. Go back to it"
            " yourself, if you know it.",
        )
    return verdict


def _judge(ask: Ask, facts: Facts) -> Verdict:
    stop = _check_client(ask, facts)
    if stop is not None:
        return stop
    target, back = _check_request(ask, facts)
    if back is not None:
        return back
    wished = _wished(ask, facts, target)
    if isinstance(wished, Back):
        return wished
    client, user = facts.client, facts.user
    assert client is not None  # noqa: S101 - _check_client made sure
    quiet = ask["prompt"] == "none"
    if user is None:
        return Back("login_required", "Nobody is signed in.") if quiet else SignIn()
    if client.status == "pending" and not user.is_admin:
        return NeedsOwner(client)
    offer = _offer(wished, ask, facts, user)
    if not offer.rows:
        return Stop(
            403,
            "You cannot allow this",
            "This app asks for something you do not have access to. Ask the owner of this hub to give you"
            " a vault (vault_scope_mismatch).",
        )
    consent = Consent(
        client=client,
        rows=offer.rows,
        vaults=offer.vaults,
        chosen=offer.chosen,
        target=target,
        approves=client.status == "pending",
    )
    if _was_allowed(consent, ask, facts):
        return Issue(client=client, scopes=tuple(row.scope for row in consent.rows), target=target)
    return Back("consent_required", "The person must be asked.") if quiet else consent


def answer(consent: Consent, answer: Answer) -> Issue | Back | Stop:
    """What the person's answer to a consent page gives. Only what the page offered can be ticked."""
    if not answer.yes:
        return Back("access_denied", "The person said no.")
    scopes: dict[str, None] = {}
    for row in consent.rows:
        if row.scope not in answer.ticked:
            continue
        found = vault_scope(row.scope)
        if found is None or found.name is not None:
            scopes[row.scope] = None
            continue
        vault = answer.vault or (consent.vaults[0] if len(consent.vaults) == 1 else None)
        if vault not in consent.vaults:
            return Stop(400, "Choose a vault", "Go back and choose the vault that this app may use.")
        scopes[f"vault:{vault}:{found.verb}"] = None
    if not scopes:
        return Back("access_denied", "The person allowed nothing.")
    risky = any(row.risk != "low" and row.scope in answer.ticked for row in consent.rows)
    return Issue(
        client=consent.client,
        scopes=tuple(scopes),
        target=consent.target,
        needs_proof=risky or consent.approves,
        approves=consent.approves,
    )


def _check_client(ask: Ask, facts: Facts) -> Stop | None:
    uri = ask["redirect_uri"]
    if facts.client is None or "client_id" in ask.repeated:
        home = redirects.leads_home(uri, facts.own_origins)
        return Stop(
            400,
            "This app is not known here",
            "The hub does not know this app. Go back to the app and connect it again.",
            _without_query(uri) if home else None,
        )
    if "redirect_uri" in ask.repeated or not redirects.matches(facts.client.redirect_uris, uri):
        return Stop(
            400,
            "This link cannot be trusted",
            "The app asks to be answered at an address that it did not register (redirect_uri). Nothing was sent"
            " there. If you are its developer, register exactly this address.",
        )
    return None


def _check_request(ask: Ask, facts: Facts) -> tuple[Target | None, Back | None]:
    if ask.repeated:
        return None, Back("invalid_request", f"Sent more than once: {', '.join(sorted(ask.repeated))}.")
    if ask["response_type"] != "code":
        return None, Back("unsupported_response_type", "response_type must be code.")
    if ask["code_challenge_method"] != "S256" or not CHALLENGE.fullmatch(ask["code_challenge"]):
        return None, Back("invalid_request", "PKCE S256 is required: send code_challenge and code_challenge_method.")
    if len(ask["state"]) > MAX_STATE:
        return None, Back("invalid_request", f"state may have at most {MAX_STATE} characters.")
    if not ask["resource"]:
        return None, None
    try:
        return resource.read(ask["resource"], origins=facts.origins, catalog=facts.catalog), None
    except InvalidTarget as error:
        return None, Back("invalid_target", str(error))


def _wished(ask: Ask, facts: Facts, target: Target | None) -> tuple[str, ...] | Back:
    """What the app asks for, as far as it means something here; with no wish, reading and writing notes."""
    asked = split_scopes(ask["scope"])
    if not all(requestable(scope) for scope in asked):
        return Back("invalid_scope", "No app can get the scopes that administer the hub itself.")
    if not ask["scope"].strip():
        of_module = [scope for scope in facts.catalog.advertised() if target and scope.startswith(f"{target.name}:")]
        asked = tuple(of_module) or DEFAULT_WISH
    known = narrow((scope for scope in asked if facts.catalog.knows(scope)), target)
    return known or Back("invalid_scope", "None of these scopes exist here.")


@frozen(kw_only=True)
class _Offer:
    rows: tuple[Row, ...]
    vaults: tuple[str, ...]
    chosen: str | None


def _offer(wished: Sequence[str], ask: Ask, facts: Facts, user: User) -> _Offer:
    """What this person could allow of it, and the vaults to choose from when a scope names none."""
    authority = authority_of(user)
    unnamed = {scope.verb for scope in map(vault_scope, wished) if scope and scope.name is None}
    vaults = tuple(
        name
        for name in facts.catalog.vaults
        if unnamed and all(authority.allows(f"vault:{name}:{verb}") for verb in unnamed)
    )
    if unnamed and not vaults:
        # Nobody can give admin on what they may only read; offer what some vault allows.
        unnamed = {v for v in unnamed if any(authority.allows(f"vault:{n}:{v}") for n in facts.catalog.vaults)}
        vaults = tuple(n for n in facts.catalog.vaults if any(authority.allows(f"vault:{n}:{v}") for v in unnamed))
    allowed = set(attenuate(wished, authority)) | {f"vault:{verb}" for verb in unnamed if vaults}
    explained = [(scope, facts.catalog.explain(scope)) for scope in wished if scope in allowed]
    hint = ask["vault"]
    return _Offer(
        rows=tuple(Row(scope=s, text=e.text, risk=e.risk, ticked=e.risk != "high") for s, e in explained),
        vaults=vaults,
        chosen=hint if hint in vaults else (vaults[0] if vaults else None),
    )


def _was_allowed(consent: Consent, ask: Ask, facts: Facts) -> bool:
    """Whether to go on without asking: it was all allowed before, is harmless, and nobody else can be the app.

    Any program can listen on a loopback port or claim an app's scheme, so those are asked each time (A13).
    """
    if consent.approves or ask["prompt"] == "consent" or consent.vaults:
        return False
    safe = redirects.cannot_be_taken(ask["redirect_uri"], facts.own_origins)
    return safe and all(row.risk == "low" and covers(facts.granted, row.scope) for row in consent.rows)


def _without_query(uri: str) -> str:
    return re.split(r"[?#]", uri)[0]
