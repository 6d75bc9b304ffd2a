"""Views of the wizard's screens."""

from collections.abc import Mapping
from typing import Any, Final

from twisted.web.template import Tag, tags

from parachute_hub.accounts import validation
from parachute_hub.accounts.pages import fill, notice
from parachute_hub.accounts.passkeys.policy import Place
from parachute_hub.accounts.passkeys.views import obstacle
from parachute_hub.accounts.setup import wizard
from parachute_hub.accounts.setup.public_origin import HubOrigin
from parachute_hub.accounts.setup.setup import Install, Setup
from parachute_hub.accounts.setup.wizard import Offer, Screen
from parachute_hub.site.assistants import ASSISTANTS
from parachute_hub.site.errors import Refused
from parachute_hub.site.pages import Content, csrf_field, problem
from parachute_hub.system.records import frozen

_STEPS = (("welcome", "You"), ("vault", "Modules"), ("expose", "Address"), ("done", "Ready"))
_STATES = {"pending": "waiting", "running": "installing", "succeeded": "installed", "failed": "did not work"}
_RELOAD_SECONDS = 3
# Preselected: without a vault and an app to write notes, a hub is of little use.
_FIRST_CHOICE = ("vault", "notes")


@frozen(kw_only=True)
class View:
    """A screen's title, content, and additions to the head."""

    title: str
    content: Content
    head: Content = ""


def draw(
    screen: Screen,
    setup: Setup,
    origin: HubOrigin,
    token: str,
    refused: Refused | None,
    kept: Mapping[str, str],
    *,
    where: Place,
    older_hub: bool = False,
) -> View:
    """One screen. `kept` are the values entered before an error. `where` tells whether passkeys work for this browser,
    `older_hub` whether an older hub has used this home.
    """
    said: dict[str, Content] = {"problem": problem(refused), "csrf": csrf_field(token)}
    match screen:
        case "account":
            username = kept.get("username", validation.DEFAULT_OWNER)
            older: Content = fill("setup-older-hub") if older_hub else ""
            content = fill(
                "setup-account", username=username, token=kept.get("bootstrap_token", ""), older=older, **said
            )
            script = tags.script(src="/static/hub/setup-token.js", type="module")
            return View(title="Set up", content=content, head=script)
        case "modules":
            return View(title="Choose modules", content=fill("setup-modules", offers=_offers(setup), **said))
        case "vault-name":
            name = kept.get("vault_name", setup.progress.vault_name or validation.DEFAULT_VAULT)
            return View(title="Name your first vault", content=fill("setup-vault-name", name=name, **said))
        case "scribe-key":
            return View(title="Speech to text", content=fill("setup-scribe", **said))
        case "installing":
            return _installing(setup, token, said)
        case "reach":
            return View(title="Address", content=_reach(setup, origin, kept, {**said, "proof": _proof(refused)}))
        case "done":
            script = tags.script(src="/static/hub/copy.js", type="module")
            return View(title="Ready", content=_done(setup, origin, where), head=script)


_DOING: Final = {
    "fetch": "Downloading",
    "verify": "Checking",
    "check": "Checking",
    "register": "Adding it to the hub",
    "start": "Starting",
    "finish": "Finishing",
}


def steps(screen: Screen) -> Tag:
    """The progress through the four steps."""
    names = [name for name, _ in _STEPS]
    at = names.index(wizard.STEPS[screen])
    items = []
    for number, (_, label) in enumerate(_STEPS):
        item = tags.li(label, class_="past" if number < at else "")
        items.append(item(**{"aria-current": "step"}) if number == at else item)
    return tags.ol(*items, class_="steps", **{"aria-label": "Steps of the setup"})


def operation(install: Install, lines: int) -> dict[str, Any]:
    """An install for scripts: the job in API form, and a sentence about its progress."""
    job = dict(install.job or {})
    return {
        **job,
        "id": job.get("id"),
        "short": install.offer.short,
        "status": install.status,
        "step": _sentence(install),
        "log": list(job.get("log", ()))[-lines:],
    }


def _offers(setup: Setup) -> list[Tag]:
    chosen = setup.progress.chosen
    return [
        _choice(offer, checked=offer.short in (_FIRST_CHOICE if chosen is None else chosen)) for offer in setup.offers()
    ]


def _choice(offer: Offer, *, checked: bool) -> Tag:
    box = tags.input(type="checkbox", name="modules", value=offer.short)
    if offer.installed:
        box = tags.input(type="checkbox", disabled="disabled", checked="checked")
    elif checked:
        box(checked="checked")
    return tags.label(
        box,
        tags.strong(offer.name),
        tags.span(offer.purpose or offer.tagline),
        tags.span("Installed already" if offer.installed else _figures(offer), class_="figures"),
        class_="choice",
    )


def _figures(offer: Offer) -> str:
    size = f"{offer.size_bytes / 1e6:.0f} MB on disk" if offer.size_bytes else ""
    memory = f"{offer.memory_mb} MB of memory while it runs" if offer.memory_mb else ""
    both = ", ".join(part for part in (size, memory) if part)
    edition = "Reference module" if offer.reference else ""
    return ". ".join(part for part in (edition, f"About {both}" if both else "") if part)


def _installing(setup: Setup, token: str, said: dict[str, Content]) -> View:
    installs = setup.installs()
    failed = [install for install in installs if install.status == "failed"]
    busy = [install for install in installs if install.status in ("running", "pending")]
    if busy:
        heading, lead = "Installing", "This takes a minute or two. You can go on; the rest happens by itself."
    elif failed:
        heading, lead = "Not everything worked", "Try again, or go on without. Nothing half-installed is left behind."
    else:
        heading, lead = "All installed", "Everything you chose is running."
    content = fill(
        "setup-installing",
        heading=heading,
        lead=lead,
        installs=[_install(install, token) for install in installs],
        go_on="Go on while this runs" if busy else "Go on without" if failed else "Continue",
        button="" if busy or failed else "primary",
        **said,
    )
    reload = tags.noscript(tags.meta(**{"http-equiv": "refresh", "content": str(_RELOAD_SECONDS)}))
    script = tags.script(src="/static/hub/setup.js", type="module")
    return View(title=heading, content=content, head=[script, reload] if busy else "")


def _install(install: Install, token: str) -> Tag:
    log = [str(line) for line in (install.job or {}).get("log", ())][-200:]
    retry: Content = ""
    if install.status == "failed":
        detail = (install.job or {}).get("error_detail") or {}
        lean = [_retry(install.offer, token, lean=True)] if detail.get("fits_without_optional") else []
        retry = [_retry(install.offer, token), *lean]
    return fill(
        "setup-install",
        short=install.offer.short,
        status=install.status,
        name=install.offer.name,
        step=_sentence(install),
        state=tags.span(_STATES.get(install.status, install.status), class_=f"state state-{install.status}"),
        retry=retry,
        log=tags.details(tags.summary("What happened"), tags.pre("\n".join(log), tabindex="0")) if log else "",
    )


def _retry(offer: Offer, token: str, *, lean: bool = False) -> Tag:
    """`lean`: without its optional dependencies, which would not fit on the disk."""
    return tags.form(
        csrf_field(token),
        tags.input(type="hidden", name="without_optional", value="1") if lean else "",
        tags.button(
            "Install without optional parts" if lean else "Try again",
            tags.span(f" {offer.name}", class_="unseen"),
            type="submit",
            class_="small",
        ),
        method="post",
        action=f"/admin/setup/install/{offer.short}",
    )


def _sentence(install: Install) -> str:
    job = install.job
    if job is None:
        if not install.begun:
            return "It starts once the open questions are answered."
        return install.offer.tagline if install.offer.installed else "The installation was interrupted."
    if install.status == "failed":
        return str(job.get("error") or "It did not work.")
    steps_done = job.get("steps") or ()
    if install.status == "succeeded" or not steps_done:
        return install.offer.tagline
    name = str(steps_done[-1].get("name", ""))
    return f"{_DOING.get(name, name.capitalize())}…"


def _reach(setup: Setup, origin: HubOrigin, kept: Mapping[str, str], said: dict[str, Content]) -> Tag:
    issuer = origin.issuer()
    local = issuer.startswith(("http://127.0.0.1", "http://localhost"))
    mode = kept.get("expose_mode") or setup.expose_mode or ("localhost" if local else "public")
    choices = [
        _way("localhost", "Only from this computer", "Nobody else can reach it.", mode),
        _way("tailnet", "From my own devices", "Through a private network such as Tailscale, or at home.", mode),
        _way("public", "From anywhere", "At a public https address.", mode),
    ]
    said_by = {
        "render": "Set by Render.",
        "fly": "Set by Fly.",
        "option": "Set when the hub was started.",
        "environment": "Set when the hub was started.",
        "settings": "Your earlier choice.",
    }.get(
        origin.source(),
        "Needed unless you only use it from this computer. If you have none yet, choose that: "
        "Settings can open a way for your other devices later.",
    )
    return fill("setup-reach", choices=choices, origin=kept.get("hub_origin", issuer), hint=said_by, **said)


def _proof(refused: Refused | None) -> Content:
    """The password is only asked for once it is needed."""
    if refused is None or refused.error not in ("password_required", "invalid_credentials", "too_many_attempts"):
        return ""
    field = tags.input(
        type="password", id="password", name="password", autocomplete="current-password", required="required"
    )
    return tags.div(tags.label("Your password, because the address changes", for_="password"), field)


def _way(value: str, label: str, text: str, mode: str) -> Tag:
    button = tags.input(type="radio", name="expose_mode", value=value, required="required")
    if value == mode:
        button(checked="checked")
    return tags.label(button, tags.strong(label), tags.span(text, class_="figures"), class_="choice")


def _done(setup: Setup, origin: HubOrigin, where: Place) -> Tag:
    issuer = origin.issuer()
    progress = setup.progress
    chosen = {*(progress.chosen or ()), *(offer.short for offer in setup.offers() if offer.installed)}
    running = [install for install in setup.installs() if install.status in ("running", "pending")]
    notes: Content = tags.a("Open Notes", class_="button primary", href="/notes/") if "notes" in chosen else ""
    connect: Content = ""
    if "vault" in chosen:
        vault = progress.vault_name or validation.DEFAULT_VAULT
        command = f"claude mcp add --transport http parachute {issuer}/vault/{vault}/mcp"
        pages = [
            tags.a(one.name, class_="button small", href=f"/account/connect/{one.id}?vault={vault}")
            for one in ASSISTANTS
        ]
        connect = fill("setup-connect", assistants=pages, command=command)
    warning: Content = notice(setup.warning, "busy") if setup.warning else ""
    if running:
        names = ", ".join(install.offer.name for install in running)
        warning = [*([warning] if isinstance(warning, Tag) else []), notice(f"Still installing: {names}.", "busy")]
    return fill("setup-done", issuer=issuer, open=notes, connect=connect, warning=warning, passkey=_passkey(where))


def _passkey(where: Place) -> Content:
    if where.obstacle:
        return obstacle(where, "/account/passkeys")
    return tags.div(tags.a("Add a passkey", class_="button", href="/account/passkeys"), class_="actions")
