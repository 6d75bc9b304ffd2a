"""Views of the account pages."""

from collections.abc import Callable, Mapping, Sequence

from twisted.web.template import Tag, tags

from parachute_hub.accounts.model import SignedIn
from parachute_hub.accounts.pages import fill, notice
from parachute_hub.accounts.people.self_service import AccountSecurity
from parachute_hub.accounts.sessions.policy import is_limited
from parachute_hub.accounts.signin.second_factor import Started
from parachute_hub.site.pages import Content, csrf_field, qr
from parachute_hub.store.rows import Session

When = Callable[[float], str]
App = tuple[str, str, str]
"""A connected app: its id, its name, a sentence."""

_NO_CODES = (
    "You have no recovery codes left. Make new ones under “Second factor”: they let you in without your passkeys."
)
_BROWSERS = (
    ("Edg/", "Edge"),
    ("OPR/", "Opera"),
    ("Firefox/", "Firefox"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
    ("curl/", "curl"),
)
_SYSTEMS = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("Mac OS X", "Mac"),
    ("Linux", "Linux"),
)


def overview(
    found: SignedIn,
    standing: AccountSecurity,
    passkeys: int,
    when: When,
    links: Sequence[tuple[str, str, str]],
    reachable: bool,
    token: str,
) -> Tag:
    """The account overview. A phone can open the hub if it is `reachable`."""
    user = found.user
    on = standing.second_factor
    if user.own:
        links = [*links, ("Sharing", "Who else may use your vaults.", "/account/sharing")]
    more = [
        tags.li(
            tags.div(tags.h2(title), tags.p(text, class_="quiet")),
            tags.a("Show", tags.span(f" {title.lower()}", class_="unseen"), class_="button small", href=path),
        )
        for title, text, path in links
    ]
    if reachable and not is_limited(found.session):
        about = tags.div(tags.h2("Your phone"), tags.p("Scan a code, and your notes open there.", class_="quiet"))
        more = [tags.li(about, tags.a("Use your phone", class_="button small", href="/account/phone")), *more]
    admin: Content = ""
    if user.is_admin:
        admin = [
            tags.a("Manage the hub", class_="button plain", href="/admin/"),
            tags.a("Lock everything", class_="button plain", href="/account/lock"),
        ]
    return fill(
        "account",
        called=user.called,
        username=user.username,
        role=_role(found),
        message=_message(found, standing),
        changed=when(user.password_changed_at),
        factor=f"On, {_count(standing.codes_left, 'recovery code')} left" if on else "Off",
        passkeys=_count(passkeys, "passkey") if passkeys else "None yet. A passkey signs you in without typing",
        passkeys_action="Change passkeys" if passkeys else "Add a passkey",
        factor_action="Change second factor" if on else "Add second factor",
        sessions=_count(standing.sessions, "browser"),
        more=more,
        vaults=_vaults(found),
        csrf=csrf_field(token),
        admin=admin,
    )


def name(shown: str, said: Mapping[str, Content]) -> Tag:
    """The form for what a person is called."""
    return fill("name", name=shown, **said)


def downloads(vaults: Sequence[str], token: str) -> Tag:
    """A button for each vault."""
    rows = [
        tags.li(
            tags.div(tags.h2(name)),
            tags.form(
                csrf_field(token),
                tags.input(type="hidden", name="vault", value=name),
                tags.button("Download", tags.span(f" {name}", class_="unseen"), type="submit", class_="small"),
                method="post",
                action="/account/download",
            ),
        )
        for name in vaults
    ]
    return fill(
        "download", rows=tags.ul(*rows, class_="rows") if rows else tags.p("You have no vault.", class_="quiet")
    )


def change_password(found: SignedIn, next_path: str, said: Mapping[str, Content]) -> Tag:
    if found.user.must_change_password:
        heading, lead = (
            "Choose your own password",
            "Your current password was set by someone else. Choose one that only you know.",
        )
    else:
        heading, lead = "Change your password", "You stay signed in here. Every other browser and app is signed out."
    return fill("change-password", heading=heading, lead=lead, next=next_path, **said)


def second_factor(
    standing: AccountSecurity, started: Started | None, passkeys: int, when: When, said: Mapping[str, Content]
) -> Tag:
    """The second factor: off, being set up, or on. `passkeys` could be it."""
    if standing.second_factor:
        since = when(standing.enrolled_at or 0.0)
        kind = "Your passkeys are it" if standing.by_passkeys else "It is your authenticator app"
        return fill("factor-on", kind=kind, since=since, left=_count(standing.codes_left, "recovery code"), **said)
    if started is not None:
        spaced = " ".join(started.secret[at : at + 4] for at in range(0, len(started.secret), 4))
        return fill("factor-started", qr=qr(started.url, "QR code for your app"), secret=spaced, **said)
    button = tags.button("Use my passkeys", type="submit", name="action", value="passkeys")
    return fill("factor-off", passkeys=button if passkeys else "", **said)


def codes(shown: Sequence[str], lead: str) -> Tag:
    """The recovery codes, shown once."""
    return fill("factor-codes", lead=lead, codes=[tags.li(tags.code(code)) for code in shown])


def sessions(
    shown: Sequence[Session], here: str, when: When, token: str, *, passkeys: Sequence[Content], apps: Sequence[App]
) -> Tag:
    """Signed-in browsers, each with a sign-out button; passkeys (their rows' texts), and connected apps."""
    rows = [_session(session, here, when, token) for session in shown]
    others = tags.button("Sign out all others", type="submit", class_="danger") if len(shown) > 1 else ""
    none = tags.p("None.", class_="quiet")
    return fill(
        "sessions",
        problem="",
        rows=rows,
        csrf=csrf_field(token),
        others=others,
        passkeys=tags.ul(*(tags.li(one) for one in passkeys), class_="rows") if passkeys else none,
        apps=tags.ul(*(_app(app, token) for app in apps), class_="rows") if apps else none,
    )


def _app(app: App, token: str) -> Tag:
    client_id, name, text = app
    end = tags.form(
        csrf_field(token),
        tags.input(type="hidden", name="client_id", value=client_id),
        tags.button("Disconnect", tags.span(f" {name}", class_="unseen"), type="submit", class_="small"),
        method="post",
        action="/account/apps",
        **{"data-undo": f"Disconnecting {name}"},
    )
    return tags.li(tags.div(tags.h3(name), tags.p(text, class_="quiet")), end)


def browser_name(user_agent: str) -> str:
    """A browser in two words.

    >>> browser_name("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/156.0 Safari/537.36")
    'Chrome on Linux'
    """
    browser = next((name for mark, name in _BROWSERS if mark in user_agent), "A browser")
    system = next((name for mark, name in _SYSTEMS if mark in user_agent), "")
    return f"{browser} on {system}" if system else browser


def _session(session: Session, here: str, when: When, token: str) -> Tag:
    name = browser_name(session.user_agent)
    how = " by a link" if is_limited(session) else ""
    text = f"Last seen at {session.address} {when(session.last_seen_at)}, signed in{how} {when(session.created_at)}"
    if session.id == here:
        end: Tag = tags.span("this browser", class_="state state-ready")
    else:
        end = tags.form(
            csrf_field(token),
            tags.input(type="hidden", name="session", value=session.id),
            tags.button("Sign out", tags.span(f" {name}", class_="unseen"), type="submit", class_="small"),
            method="post",
            action="/account/sessions",
            **{"data-undo": f"Signing out {name}"},
        )
    return tags.li(tags.div(tags.h2(name), tags.p(text, class_="quiet")), end)


def _vaults(found: SignedIn) -> Content:
    if found.user.is_admin or not found.user.vaults:
        return ""
    words = {"read": "read", "write": "read and write"}
    rows = [
        tags.li(tags.div(tags.h3(name), tags.p(f"You may {words[role]} its notes.", class_="quiet")))
        for name, role in found.user.vaults.items()
    ]
    return tags.section(tags.h2("Your vaults"), tags.ul(*rows, class_="rows"))


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")


def _message(found: SignedIn, standing: AccountSecurity) -> Content:
    if is_limited(found.session):
        link = tags.a("sign in with your password", href="/login?next=/account")
        return tags.p("To change your account here, ", link, " first.", class_="message busy", role="note")
    return notice(_NO_CODES, "busy") if standing.by_passkeys and not standing.codes_left else ""


def _role(found: SignedIn) -> str:
    if is_limited(found.session):
        return "signed in by a link: this browser uses notes, and does not change your account"
    return "an administrator of this hub" if found.user.is_admin else "a member of this hub"
