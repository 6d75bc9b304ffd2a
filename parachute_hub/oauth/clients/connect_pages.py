"""`/account/connect`: one page for each assistant with its steps, for everybody, and a sign once it is connected."""

from collections.abc import Callable, Iterable, Sequence
from urllib.parse import quote, urlencode

from klein import Klein
from twisted.web.iweb import IRequest
from twisted.web.template import Tag, tags

from parachute_hub.oauth.authorization.browser_session import PageSession, PageSessions
from parachute_hub.oauth.clients.connections import ConnectedApp, Connections
from parachute_hub.oauth.params import query
from parachute_hub.oauth.well_known import Resources
from parachute_hub.site.answers import as_json, sign_in_first
from parachute_hub.site.area import area
from parachute_hub.site.assistants import ASSISTANTS, Assistant, is_private, name_in
from parachute_hub.site.errors import Refused, not_found
from parachute_hub.site.pages import Content, qr, show
from parachute_hub.system.networks import opens_only_here

HERE = "/account/connect"
_LOOK_SECONDS = 10


class ConnectPages:
    """The list, the pages, and the sign. `origin` returns the hub's address. They work without JavaScript."""

    app: Klein = area()

    def __init__(
        self, *, connections: Connections, visits: PageSessions, resources: Resources, origin: Callable[[], str]
    ) -> None:
        self._connections = connections
        self._visits = visits
        self._resources = resources
        self._origin = origin

    @app.route(HERE, methods=["GET", "HEAD"])
    async def listing(self, request: IRequest) -> bytes:
        """Which assistant."""
        visit = self._visit(request)
        vaults = self._vaults(visit)
        chosen = query(request).get("vault") or ""
        apps = self._connections.of_user(visit.user.id)
        rows = [_row(assistant, apps, vaults, chosen) for assistant in ASSISTANTS]
        lead = "Let Claude, ChatGPT and others read and write your notes. You choose what each may do."
        content = tags.section(
            tags.div(tags.h1("Connect an assistant"), tags.p(lead, class_="lead")),
            tags.ul(*rows, class_="rows") if vaults else _no_vault(visit),
            tags.div(
                tags.a("Back to Home", class_="button", href="/"),
                tags.a("Connected apps", class_="button plain", href="/account/apps"),
                class_="actions",
            ),
        )
        return show(request, "Connect an assistant", content)

    @app.route(f"{HERE}/<assistant_id>", methods=["GET", "HEAD"])
    async def one(self, request: IRequest, assistant_id: str) -> bytes:
        """The steps for one assistant; `vault` chooses whose notes."""
        visit, assistant = self._visit(request), _assistant(assistant_id)
        vaults = self._vaults(visit)
        title = f"Connect {'another app' if assistant.id == 'other' else assistant.name}"
        content = tags.section(
            tags.div(tags.h1(title), tags.p(f"{assistant.place}.", class_="lead")),
            *(self._steps(visit, assistant, vaults, _chosen(request, vaults)) if vaults else [_no_vault(visit)]),
            tags.div(tags.a("All assistants", class_="button", href=HERE), class_="actions"),
        )
        head: Content = [
            tags.script(src="/static/hub/copy.js", type="module"),
            tags.script(src="/static/hub/connect.js", type="module"),
            tags.noscript(tags.meta(**{"http-equiv": "refresh", "content": str(_LOOK_SECONDS)})),
        ]
        return show(request, title, content, head=head)

    @app.route(f"{HERE}/<assistant_id>/sign", methods=["GET"])
    async def sign(self, request: IRequest, assistant_id: str) -> bytes:
        """Whether it is connected, for the page that shows it."""
        visit, assistant = self._visit(request), _assistant(assistant_id)
        vaults = self._vaults(visit)
        if not vaults:
            raise not_found("You have no vault.")
        connected, text = self._standing(visit, assistant, _chosen(request, vaults))
        return as_json(request, {"connected": connected, "text": text})

    def _visit(self, request: IRequest) -> PageSession:
        visit = self._visits.visit(request)
        if visit is None:
            raise sign_in_first(request.uri.decode("ascii", "replace"))
        return visit

    def _vaults(self, visit: PageSession) -> list[str]:
        user = visit.user
        return [name for name in self._resources.vaults() if user.is_admin or name in user.vaults]

    def _standing(self, visit: PageSession, assistant: Assistant, vault: str) -> tuple[bool, str]:
        apps = self._connections.of_user(visit.user.id)
        if assistant.id == "other":
            # Notes and other modules of this hub need no steps.
            apps = [app for app in apps if not app.grant.redirect_uri.startswith(f"{self._origin()}/")]
        name = _connected(assistant, apps, [vault])
        if name is not None:
            return True, f"{name} may use the vault {vault}."
        who = "the app" if assistant.id == "other" else assistant.name
        return False, f"This page shows when {who} is connected."

    def _steps(self, visit: PageSession, assistant: Assistant, vaults: Sequence[str], vault: str) -> list[Tag | str]:
        address, name = f"{self._origin()}/vault/{vault}/mcp", name_in(vault)
        private = assistant.from_outside and is_private(address)
        connected, text = self._standing(visit, assistant, vault)
        here = f"{HERE}/{assistant.id}"
        sign = f"{here}/sign?{urlencode({'vault': vault})}"
        link: Tag | str = ""
        if assistant.link is not None:
            url = assistant.link.url(name, address)
            link = tags.div(tags.a(assistant.link.label, class_="button primary", href=url), class_="actions")
        steps = [
            tags.li(
                tags.p(step.text),
                tags.p(
                    step.copy.format(name=name, address=address),
                    class_="copy code",
                    tabindex="0",
                    role="group",
                    **{"aria-label": step.copied, "data-copy": step.copied},
                )
                if step.copy
                else "",
            )
            for step in assistant.steps
        ]
        return [
            _choice(vaults, vault, here) if len(vaults) > 1 else "",
            tags.div(_state(connected=connected), tags.p(text), class_="sign", role="status", **{"data-sign": sign}),
            _private(visit, assistant) if private else "",
            link,
            tags.ol(*steps, class_="numbered"),
            "" if private else _elsewhere(visit, address),
        ]


def _connected(assistant: Assistant, apps: Iterable[ConnectedApp], vaults: Iterable[str]) -> str | None:
    """The name of the app that is this assistant and may use one of these vaults now."""
    for app in apps:
        told = app.to_json()
        if (
            app.active
            and not set(vaults).isdisjoint(told["vaults"])
            and assistant.is_it(app.client.name, told["domain"])
        ):
            return app.client.name
    return None


def _row(assistant: Assistant, apps: Iterable[ConnectedApp], vaults: Sequence[str], chosen: str) -> Tag:
    path = f"{HERE}/{assistant.id}" + (f"?{urlencode({'vault': chosen})}" if chosen in vaults else "")
    held = assistant.id != "other" and _connected(assistant, apps, vaults) is not None
    return tags.li(
        tags.div(tags.h2(tags.a(assistant.name, href=path)), tags.p(assistant.place, class_="quiet")),
        _state(connected=True) if held else "",
    )


def _assistant(assistant_id: str) -> Assistant:
    found = next((one for one in ASSISTANTS if one.id == assistant_id), None)
    if found is None:
        raise not_found("There is no page for this assistant.")
    return found


def _chosen(request: IRequest, vaults: Sequence[str]) -> str:
    vault = query(request).get("vault")
    if vault and vault not in vaults:
        raise Refused(404, "not_found", "You have no such vault.")
    return vault or vaults[0]


def _state(*, connected: bool) -> Tag:
    state = "ready" if connected else "pending"
    return tags.span("Connected" if connected else "Waiting", class_=f"state state-{state}")


def _choice(vaults: Sequence[str], chosen: str, here: str) -> Tag:
    links = [
        tags.a(
            vault,
            class_="button small",
            href=f"{here}?vault={quote(vault)}",
            **({"aria-current": "true"} if vault == chosen else {}),
        )
        for vault in vaults
    ]
    return tags.div(tags.h2("Which vault"), tags.div(*links, class_="actions"))


def _private(visit: PageSession, assistant: Assistant) -> Tag:
    way: list[Tag | str] = ["Ask the owner of this hub for a public address."]
    if visit.user.is_admin:
        way = ["First, ", tags.a("open a way to it", href="/admin/settings/reach"), " for anybody on the internet."]
    text = f"{assistant.name} reaches your hub from the internet, where this address does not work. "
    return tags.p(text, *way, class_="message busy")


def _elsewhere(visit: PageSession, address: str) -> Tag:
    if not opens_only_here(address):
        return tags.details(
            tags.summary("Show the address as a QR code"),
            tags.p("For the phone or another computer.", class_="quiet"),
            qr(address, f"QR code of {address}"),
        )
    way: list[Tag | str] = ["ask the person who runs this hub to open a way to it."]
    if visit.user.is_admin:
        way = [tags.a("open a way to your hub", href="/admin/settings/reach"), " first."]
    return tags.p("This address works only on this computer. For a phone or another computer, ", *way, class_="quiet")


def _no_vault(visit: PageSession) -> Tag:
    if visit.user.is_admin:
        return tags.p("There is no vault yet. ", tags.a("Create one", href="/admin/vaults"), ".", class_="message busy")
    return tags.p("You have no vault yet. Ask the person who runs this hub for one.", class_="message busy")
