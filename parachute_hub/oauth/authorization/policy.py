"""Decides what to do with an authorization request, without side effects (OAuth 2.1, section 4.1; RFC 9700).

The order of checks is a security property: nothing is sent to a redirect URI before it is known to belong to the
client, nothing is shown before the user is known, and nothing is granted without consent.
"""

import re
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from attrs import evolve

from parachute_hub.oauth.authorization import redirects, resource
from parachute_hub.oauth.authorization.left_out import OWN_RESOURCES, LeftOut, missing
from parachute_hub.oauth.authorization.resource import InvalidTarget, Target, narrow
from parachute_hub.oauth.authorization.scopes import (
    COMMAND,
    DEFAULT_WISH,
    NOT_REQUESTABLE,
    Risk,
    ScopeCatalog,
    attenuate,
    authority_for,
    covers,
    requestable,
    vault_scope,
    wish_of_command,
)
from parachute_hub.oauth.authorization.scopes import split as split_scopes
from parachute_hub.oauth.tokens.grant_policy import CHALLENGE
from parachute_hub.store.rows import Client, User
from parachute_hub.system.records import frozen

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
# `prompt` values of OpenID Connect, which other clients send as well.
SIGN_IN_AGAIN = frozenset({"login", "select_account"})


@frozen(kw_only=True)
class AuthorizationRequest:
    """An authorization request's parameters; `repeated` names those given more than once.

    `resource` may be repeated: its values are then separated by spaces, which no URI contains.
    """

    values: Mapping[str, str]
    repeated: frozenset[str] = frozenset()

    def __getitem__(self, name: str) -> str:
        return self.values.get(name, "")


@frozen(kw_only=True)
class Facts:
    """Everything the decision depends on. `client` and `user` are None if there is none.

    `granted` are scopes the user granted to the client before. `origins` are all origins of this hub; `own_origins`
    those that may receive a code without consent.
    """

    client: Client | None
    user: User | None
    granted: tuple[str, ...]
    catalog: ScopeCatalog
    origins: Sequence[str]
    own_origins: Sequence[str]


@frozen(kw_only=True)
class ScopeChoice:
    """One scope with a checkbox. `scope` is its OAuth name; `ticked` is the initial state."""

    scope: str
    text: str
    risk: Risk
    ticked: bool


@frozen
class ErrorPage:
    """Show an error page; nothing is sent to the redirect URI. `back` is an optional link."""

    status: int
    title: str
    text: str
    back: str | None = None


@frozen
class ErrorRedirect:
    """Redirect to the app with an error (RFC 6749, section 4.1.2.1)."""

    error: str
    description: str


@frozen
class NeedsSignIn:
    """Ask the user to sign in. `again`: even if already signed in, because the app requires it (`prompt`)."""

    again: bool = False


@frozen
class NeedsOwner:
    """The app needs approval by an owner, and this user is not one."""

    client: Client


@frozen(kw_only=True)
class AskConsent:
    """Ask the user. `vaults` are the choices for scopes that name none; `chosen` is preselected.

    `left_out` is what the app asked for and does not get. `approves`: the app is new, and this user's consent also
    approves it.
    """

    client: Client
    rows: tuple[ScopeChoice, ...]
    left_out: tuple[LeftOut, ...]
    vaults: tuple[str, ...]
    chosen: str | None
    target: Target | None
    approves: bool


@frozen(kw_only=True)
class IssueCode:
    """Issue a code for these scopes. `needs_proof`: only after the user's password or second factor."""

    client: Client
    scopes: tuple[str, ...]
    target: Target | None
    needs_proof: bool = False
    approves: bool = False


Verdict: TypeAlias = ErrorPage | ErrorRedirect | NeedsSignIn | NeedsOwner | AskConsent | IssueCode


@frozen(kw_only=True)
class SubmittedConsent:
    """The submitted consent form."""

    yes: bool
    ticked: frozenset[str]
    vault: str | None = None


def completed(ask: AuthorizationRequest, client: Client | None) -> AuthorizationRequest:
    """Fill in an omitted redirect URI, if the client registered exactly one (RFC 6749, section 3.1.2.3)."""
    if client is None or "redirect_uri" in ask.values or len(client.redirect_uris) != 1:
        return ask
    return evolve(ask, values={**ask.values, "redirect_uri": client.redirect_uris[0]})


def decide(ask: AuthorizationRequest, facts: Facts) -> Verdict:
    """The next step for this request.

    Anyone can register an app, so errors are not redirected to an unapproved one: a link to the hub must not
    automatically lead to a stranger's page (RFC 9700, section 4.11.2).
    """
    verdict = _judge(ask, facts)
    if isinstance(verdict, ErrorRedirect) and facts.client is not None and facts.client.status == "pending":
        return ErrorPage(
            400,
            "This app cannot be connected",
            f"{verdict.description} The app is not approved here, so you are not sent back to it. Go back to it"
            " yourself, if you know it.",
        )
    return verdict


def _judge(ask: AuthorizationRequest, facts: Facts) -> Verdict:
    stop = _check_client(ask, facts)
    if stop is not None:
        return stop
    target, back = _check_request(ask, facts)
    if back is not None:
        return back
    wished = _wished(ask, facts, target)
    if isinstance(wished, ErrorRedirect):
        return wished
    client, user = facts.client, facts.user
    assert client is not None  # noqa: S101 - _check_client made sure
    prompt = set(ask["prompt"].split())
    quiet = prompt == {"none"}
    if user is None:
        return ErrorRedirect("login_required", "Nobody is signed in.") if quiet else NeedsSignIn()
    if prompt & SIGN_IN_AGAIN:
        return NeedsSignIn(again=True)
    if client.status == "pending" and not user.is_admin:
        return NeedsOwner(client)
    consent = _question(wished, target, ask, facts, user)
    if isinstance(consent, ErrorPage):
        return consent
    if _was_allowed(consent, ask, facts):
        return IssueCode(client=client, scopes=tuple(row.scope for row in consent.rows), target=target)
    return ErrorRedirect("consent_required", "The user must give consent.") if quiet else consent


def device_question(ask: AuthorizationRequest, facts: Facts) -> AskConsent | ErrorRedirect | ErrorPage | None:
    """What the user is asked for a request without a browser (RFC 8628); None if all is well so far and nobody is
    signed in.
    """
    target = _target(ask, facts)
    if isinstance(target, ErrorRedirect):
        return target
    wished = _wished(ask, facts, target)
    if isinstance(wished, ErrorRedirect) or facts.user is None:
        return wished if isinstance(wished, ErrorRedirect) else None
    return _question(wished, target, ask, facts, facts.user)


def _question(
    wished: tuple[str, ...], target: Target | None, ask: AuthorizationRequest, facts: Facts, user: User
) -> AskConsent | ErrorPage:
    """What the user can be asked; the client is known."""
    client = facts.client
    assert client is not None  # noqa: S101 - the callers made sure
    offer = _offer(wished, ask, facts, user)
    left_out = missing(
        split_scopes(ask["scope"]), wished, {row.scope for row in offer.rows}, catalog=facts.catalog, user=user
    )
    if not offer.rows:
        why = " ".join(f"{left.text}: {left.why}." for left in left_out)
        return ErrorPage(
            403, "You cannot allow this", f"This app asks for more than you have. {why} (vault_scope_mismatch)"
        )
    return AskConsent(
        client=client,
        rows=offer.rows,
        left_out=left_out,
        vaults=offer.vaults,
        chosen=offer.chosen,
        target=target,
        approves=client.status == "pending",
    )


def answer(consent: AskConsent, answer: SubmittedConsent) -> IssueCode | ErrorRedirect | ErrorPage:
    """The result of a submitted consent form. Only offered scopes count."""
    if not answer.yes:
        return ErrorRedirect("access_denied", "The user denied access.")
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
            return ErrorPage(400, "Choose a vault", "Go back and choose the vault that this app may use.")
        scopes[f"vault:{vault}:{found.verb}"] = None
    if not scopes:
        return ErrorRedirect("access_denied", "The user granted nothing.")
    risky = any(row.risk != "low" and row.scope in answer.ticked for row in consent.rows)
    return IssueCode(
        client=consent.client,
        scopes=tuple(scopes),
        target=consent.target,
        needs_proof=risky or consent.approves,
        approves=consent.approves,
    )


def _check_client(ask: AuthorizationRequest, facts: Facts) -> ErrorPage | None:
    uri = ask["redirect_uri"]
    if facts.client is None or "client_id" in ask.repeated:
        home = redirects.leads_home(uri, facts.own_origins)
        return ErrorPage(
            400,
            "This app is not known here",
            "The hub does not know this app. Go back to the app and connect it again.",
            _without_query(uri) if home else None,
        )
    if "redirect_uri" in ask.repeated or not redirects.matches(facts.client.redirect_uris, uri):
        return ErrorPage(
            400,
            "This link cannot be trusted",
            "The app asks to be answered at an address that it did not register (redirect_uri). Nothing was sent"
            " there. If you are its developer, register exactly this address.",
        )
    return None


def _check_request(ask: AuthorizationRequest, facts: Facts) -> tuple[Target | None, ErrorRedirect | None]:
    if ask.repeated:
        return None, ErrorRedirect("invalid_request", f"Sent more than once: {', '.join(sorted(ask.repeated))}.")
    if ask["response_type"] != "code":
        return None, ErrorRedirect("unsupported_response_type", "response_type must be code.")
    if ask["code_challenge_method"] != "S256" or not CHALLENGE.fullmatch(ask["code_challenge"]):
        return None, ErrorRedirect(
            "invalid_request", "PKCE S256 is required: send code_challenge and code_challenge_method."
        )
    if len(ask["state"]) > MAX_STATE:
        return None, ErrorRedirect("invalid_request", f"state may have at most {MAX_STATE} characters.")
    target = _target(ask, facts)
    return (None, target) if isinstance(target, ErrorRedirect) else (target, None)


def _target(ask: AuthorizationRequest, facts: Facts) -> Target | None | ErrorRedirect:
    try:
        return resource.read_all(ask["resource"].split(), origins=facts.origins, catalog=facts.catalog)
    except InvalidTarget as error:
        return ErrorRedirect("invalid_target", str(error))


def _wished(ask: AuthorizationRequest, facts: Facts, target: Target | None) -> tuple[str, ...] | ErrorRedirect:
    """The requested scopes that exist here; without any, reading and writing notes.

    Clients also send scopes of other servers (`openid profile`, `claudeai`, `read write`). If there is nothing else,
    the request counts as having no scope, and the user decides. Scopes that name a part of this hub are taken
    literally.
    """
    asked = split_scopes(ask["scope"])
    if facts.client is not None and facts.client.client_id == COMMAND:
        asked = asked or wish_of_command(facts.user)
        known = tuple(scope for scope in asked if scope in NOT_REQUESTABLE or facts.catalog.knows(scope))
        return known or ErrorRedirect("invalid_scope", "There is nothing here that this account could use.")
    if not all(requestable(scope) for scope in asked):
        return ErrorRedirect("invalid_scope", "No app can get the scopes that administer the hub itself.")
    if not any(scope.partition(":")[0] in {*OWN_RESOURCES, *facts.catalog.modules} for scope in asked):
        of_module = [scope for scope in facts.catalog.advertised() if target and scope.startswith(f"{target.name}:")]
        words = set(ask["scope"].split())
        reads_only = "read" in words and not words & {"write", "admin", "full"}
        asked = tuple(of_module) or (DEFAULT_WISH[:1] if reads_only else DEFAULT_WISH)
    known = narrow((scope for scope in asked if facts.catalog.knows(scope)), target)
    return known or ErrorRedirect("invalid_scope", "None of these scopes exist here.")


@frozen(kw_only=True)
class _Offer:
    rows: tuple[ScopeChoice, ...]
    vaults: tuple[str, ...]
    chosen: str | None


def _offer(wished: Sequence[str], ask: AuthorizationRequest, facts: Facts, user: User) -> _Offer:
    """The scopes this user can grant, and the vaults to choose from if a scope names none."""
    authority = authority_for(user, facts.client.client_id if facts.client else "")
    unnamed = {scope.verb for scope in map(vault_scope, wished) if scope and scope.name is None}
    vaults = tuple(
        name
        for name in facts.catalog.vaults
        if unnamed and all(authority.allows(f"vault:{name}:{verb}") for verb in unnamed)
    )
    if unnamed and not vaults:
        # Nobody can grant admin on a vault they can only read, so offer what some vault allows.
        unnamed = {v for v in unnamed if any(authority.allows(f"vault:{n}:{v}") for n in facts.catalog.vaults)}
        vaults = tuple(n for n in facts.catalog.vaults if any(authority.allows(f"vault:{n}:{v}") for v in unnamed))
    allowed = set(attenuate(wished, authority)) | {f"vault:{verb}" for verb in unnamed if vaults}
    explained = [(scope, facts.catalog.explain(scope)) for scope in wished if scope in allowed]
    hint = ask["vault"]
    return _Offer(
        rows=tuple(ScopeChoice(scope=s, text=e.text, risk=e.risk, ticked=e.risk != "high") for s, e in explained),
        vaults=vaults,
        chosen=hint if hint in vaults else (vaults[0] if vaults else None),
    )


def _was_allowed(consent: AskConsent, ask: AuthorizationRequest, facts: Facts) -> bool:
    """True if consent can be skipped: everything was granted before, is harmless, and only this app can receive the
    code.

    Any program can listen on a loopback port or claim a URI scheme, so those always need consent (RFC 8252, section
    8.6), and so does the command, also where the hub itself is on a loopback address.
    """
    if consent.approves or "consent" in ask["prompt"].split() or consent.vaults:
        return False
    if consent.client.client_id == COMMAND:
        return False
    safe = redirects.cannot_be_taken(ask["redirect_uri"], facts.own_origins)
    return safe and all(row.risk == "low" and covers(facts.granted, row.scope) for row in consent.rows)


def _without_query(uri: str) -> str:
    return re.split(r"[?#]", uri)[0]
