"""The issuer's pages: consent, approval, messages. They work without JavaScript, and templating escapes all values."""

from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

from twisted.web.iweb import IRequest
from twisted.web.template import Tag, tags

from parachute_hub.oauth.authorization.browser_session import PageSession
from parachute_hub.oauth.authorization.consent_ticket import is_marked
from parachute_hub.oauth.authorization.policy import AskConsent, ErrorPage, ScopeChoice
from parachute_hub.oauth.authorization.redirects import cannot_be_taken, place
from parachute_hub.oauth.clients.registration import domain_of
from parachute_hub.site.answers import wants_html
from parachute_hub.site.errors import Refused
from parachute_hub.site.pages import CSRF_FIELD, Content, breakable, problem, show, show_message, templates
from parachute_hub.site.root import lead_to_apps
from parachute_hub.store.rows import Client
from parachute_hub.system.records import frozen

fill = templates("parachute_hub.oauth")


def show_stop(request: IRequest, stop: ErrorPage) -> bytes:
    """A page that explains why the flow ends here. Raises Refused if it is an error and the client wants no page.

    `back` leads only to this hub's own pages.
    """
    if stop.status >= 400 and not wants_html(request):
        raise Refused(stop.status, "invalid_request", stop.text)
    back = tags.div(tags.a("Back", class_="button", href=stop.back), class_="actions") if stop.back else ""
    return show_message(request, stop.title, stop.text, back, status=stop.status)


def show_needs_owner(request: IRequest, client: Client, approve_url: str) -> bytes:
    """For a user who cannot approve the app: whom to ask, with the URL to send."""
    text = (
        f"“{client.name}” is new here. Ask the owner of this hub to open the address below, then come back and connect"
        " the app again."
    )
    address = tags.p(tags.code(approve_url), class_="copy")
    return show_message(request, "This app is not approved yet", text, address, status=403)


@frozen(kw_only=True)
class Shown:
    """The consent form's hidden fields, and the state of a failed attempt."""

    hidden: Mapping[str, str]
    ticked: frozenset[str] | None = None
    error: str | None = None


def show_consent(
    request: IRequest, consent: AskConsent, visit: PageSession, shown: Shown, origins: Iterable[str]
) -> bytes:
    """The consent form. `origins` are the hub's own."""
    uri = shown.hidden["redirect_uri"]
    slots: dict[str, Content] = {
        "name": consent.client.name,
        "username": visit.user.called,
        "problem": problem(shown.error),
        "hidden": _hidden({**shown.hidden, CSRF_FIELD: visit.csrf, "__action": "consent"}),
        "identity": _identity(consent.client),
        "place": _where(uri, origins),
        "news": _news(consent),
        "rows": _rows(consent, shown),
        "left_out": _left_out(consent),
        "vaults": _vaults(consent),
        "proof": _proof("Needed for a new app, and for more than everyday access.")
        if needs_proof(request, consent)
        else "",
    }
    lead_to_apps(request)
    return show(request, "Allow an app", fill("consent", **slots), status=401 if shown.error else 200)


def show_approval(
    request: IRequest, client: Client, visit: PageSession, hidden: Mapping[str, str], *, error: str | None = None
) -> bytes:
    """The form with which an owner approves an app."""
    slots: dict[str, Content] = {
        "name": client.name,
        "problem": problem(error),
        "hidden": _hidden({**hidden, CSRF_FIELD: visit.csrf, "client_id": client.client_id}),
        "identity": _identity(client),
        "places": _places(client),
        "proof": _proof("To confirm that it is you."),
    }
    return show(request, "Approve an app", fill("approve", **slots), status=401 if error else 200)


def show_device_code(request: IRequest, visit: PageSession, refused: Refused | None = None) -> bytes:
    """The field for a device's code. It is empty whatever the address says."""
    slots: dict[str, Content] = {
        "username": visit.user.called,
        "problem": problem(refused),
        "hidden": _hidden({CSRF_FIELD: visit.csrf, "__action": "find"}),
    }
    return show(request, "Sign in a device", fill("device-code", **slots), refused=refused)


def show_device(
    request: IRequest, consent: AskConsent, visit: PageSession, shown: Shown, *, address: str, age: str
) -> bytes:
    """What a device asks for, who asks, from where and since when."""
    slots: dict[str, Content] = {
        "name": consent.client.name,
        "username": visit.user.called,
        "problem": problem(shown.error),
        "hidden": _hidden({**shown.hidden, CSRF_FIELD: visit.csrf, "__action": "answer"}),
        # The device grant proves nothing about the client: its id is public.
        "identity": "Not verified: any program can use this name.",
        "address": address,
        "age": age,
        "rows": _rows(consent, shown),
        "left_out": _left_out(consent),
        "vaults": _vaults(consent),
        "proof": _proof("Needed for more than everyday access.") if needs_proof(request, consent) else "",
    }
    return show(request, "Sign in a device", fill("device", **slots), status=401 if shown.error else 200)


def needs_proof(request: IRequest, consent: AskConsent) -> bool:
    """True if the page asks for the password. Without Sec-Fetch headers, the submission could come from a script of
    another page on this origin.
    """
    return consent.approves or any(row.risk != "low" for row in consent.rows) or not is_marked(request)


def show_confirmation(
    request: IRequest, visit: PageSession, values: Mapping[str, str], refused: Refused | None = None
) -> bytes:
    """What the command is about to do. `values` are the slots `what`, `operation`, `address` and `age`."""
    slots: dict[str, Content] = {
        **values,
        "problem": problem(refused),
        "hidden": _hidden({CSRF_FIELD: visit.csrf}),
        "proof": _proof("To confirm that it is you."),
    }
    return show(request, "Confirm", fill("confirm", **slots), refused=refused)


def _hidden(values: Mapping[str, str]) -> list[Tag]:
    return [tags.input(type="hidden", name=name, value=value) for name, value in values.items()]


def _identity(client: Client) -> Content:
    """What is verified about the app, followed by what it claims."""
    domain = domain_of(client.client_id) if client.source == "document" else ""
    if domain:
        return tags.transparent("Verified: the app comes from ", tags.strong(domain), ". It chose its own name.")
    if client.same_hub:
        return tags.transparent("It runs on this hub. The app chose this name; it is not verified.")
    return tags.transparent("Not verified: any program can use this name. Allow it only if you just started it.")


def _where(uri: str, origins: Iterable[str]) -> Content:
    address = tags.strong(breakable(place(uri)))
    if cannot_be_taken(uri, origins):
        return tags.transparent(address)
    if urlsplit(uri).scheme == "http":
        return tags.transparent("A program on this computer (", address, ").")
    return tags.transparent("An app on this computer that opens ", address, " links.")


def _places(client: Client) -> Content:
    found = [breakable(one) for one in dict.fromkeys(map(place, client.redirect_uris))]
    parted = [part for one in found for part in (", ", one)][1:]
    return tags.transparent(*parted) if parted else "Nowhere: it has no browser."


def _news(consent: AskConsent) -> Content:
    if not consent.approves:
        return ""
    text = "This app is new here. If you allow it, other people with an account on this hub can connect it too."
    return tags.p(text, class_="message busy", role="status")


def _left_out(consent: AskConsent) -> Content:
    if not consent.left_out:
        return ""
    rows = [
        tags.li(left.text, ": ", left.why, ". ", tags.code(left.scope, class_="quiet")) for left in consent.left_out
    ]
    return tags.div(
        tags.p(tags.strong("Left out"), ". The app asked for this too, and may not work in full without it."),
        tags.ul(*rows),
        class_="message busy",
        id="left-out",
    )


def _rows(consent: AskConsent, shown: Shown) -> list[Tag]:
    return [_row(row, row.ticked if shown.ticked is None else row.scope in shown.ticked) for row in consent.rows]


def _row(row: ScopeChoice, ticked: bool) -> Tag:
    box = tags.input(type="checkbox", name="granted_scope", value=row.scope)
    if ticked:
        box(checked="checked")
    words: list[Tag | str] = [tags.strong(row.text), tags.span(tags.code(row.scope), class_="figures")]
    if row.risk != "low":
        words.append(tags.span("More than everyday access. Make sure you want this.", class_="figures"))
    return tags.label(box, *words, class_="choice")


def _vaults(consent: AskConsent) -> Content:
    if not consent.vaults:
        return ""
    if len(consent.vaults) == 1:
        name = consent.vaults[0]
        return tags.p(
            tags.input(type="hidden", name="vault_pick", value=name),
            "In the vault ",
            tags.strong(name),
            ".",
            class_="hint",
        )
    rows = []
    for name in consent.vaults:
        radio = tags.input(type="radio", name="vault_pick", value=name, required="required")
        if name == consent.chosen:
            radio(checked="checked")
        rows.append(tags.label(radio, tags.strong(name), class_="choice"))
    return tags.fieldset(tags.legend("In the vault"), *rows)


def _proof(why: str) -> Content:
    field = tags.input(
        type="password", id="password", name="password", autocomplete="current-password", **{"aria-describedby": "why"}
    )
    return tags.div(tags.label("Your password", for_="password"), field, tags.p(why, class_="hint", id="why"))
