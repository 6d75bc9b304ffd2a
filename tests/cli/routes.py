"""Which word of the command reaches each route that changes something, or why none does."""

from typing import Final

from parachute_hub.cli import hub_words, people_words

REQUESTS: Final = (
    *hub_words.DATA_WORDS,
    *people_words.PEOPLE_WORDS,
    *people_words.INVITATION_WORDS,
    *people_words.VAULT_WORDS,
    *people_words.TOKEN_WORDS,
    *people_words.APP_WORDS,
    *hub_words.ADDRESS_WORDS,
    *hub_words.SETTINGS_WORDS,
    *hub_words.PROBLEM_WORDS,
    *hub_words.AUDIT_WORDS,
)
_RESTORE: Final = "/admin/setup/restore/<restore_id>"
BY_HAND: Final = {
    "POST /api/modules/install": "install",
    "POST /api/modules/<short>/install": "install",
    "POST /api/modules/<short>/upgrade": "upgrade",
    "POST /api/modules/<short>/rollback": "rollback",
    "POST /api/modules/<short>/uninstall": "uninstall",
    "POST /api/modules/<short>/adopt": "adopt",
    "POST /api/modules/<short>/start": "start",
    "POST /api/modules/<short>/stop": "stop",
    "POST /api/modules/<short>/restart": "restart",
    "POST /api/hub/restart": "restart",
    "POST /api/modules/<short>/heal-port": "problems fix",
    "PUT /api/modules/<short>/config": "config",
    "POST /api/modules/<short>/config/test": "config",
    "POST /api/modules/operations/<job_id>/cancel": "cancel",
    "POST /api/backups/key": "backup sheet",
    "POST /api/backups/key/confirm": "backup sheet",
    "DELETE /api/backups/key": "backup sheet",
    "POST /api/backups/places": "backup destination",
    "DELETE /api/backups/places/<place_id>": "backup destination",
    "POST /api/backups/places/<place_id>/test": "backup destination",
    "POST /api/backups/places/<place_id>/run": "backup now",
    "POST /api/backups/places/<place_id>/verify": "backup verify",
    "PUT /api/backups/schedule": "backup schedule",
    "POST /api/backups/download": "backup download",
    "GET /api/backups/download/<token>": "backup download",
    "POST /admin/setup/restore": "backup restore",
    f"PUT {_RESTORE}/parts/<offset>": "backup restore",
    f"POST {_RESTORE}/end": "backup restore",
    f"POST {_RESTORE}/apply": "backup restore",
    f"DELETE {_RESTORE}": "backup restore",
    "POST /admin/setup/move-in/plan": "migrate",
    "POST /admin/setup/move-in": "migrate",
    "POST /api/notices/destinations": "notices add",
    "DELETE /api/notices/destinations/<destination_id>": "notices remove",
    "POST /api/notices/destinations/<destination_id>/test": "notices test",
    "PUT /api/notices/settings": "notices level",
    "PUT /api/hub/logs/size": "logs",
    "POST /api/lock": "lock",
    "POST /api/reach": "expose start",
    "DELETE /api/reach": "expose undo",
    "POST /api/reach/check": "expose status",
    "PUT /api/links/<short>": "link set",
    "DELETE /api/links/<short>": "link end",
    "POST /api/links/<short>/pair": "link pair",
    "POST /api/links/<short>/renew": "link renew",
    "POST /api/links/<short>/move": "link move",
    "POST /api/space/clear": "space clear",
    "POST /api/space/trash/<vault>": "space empty-trash",
    "PUT /vaults/<name>/quota": "space limit-vault",
    "PUT /api/users/<user_id>/quota": "space limit-person",
    "POST /oauth/device_authorization": "login",
}
_OWN: Final = "somebody's own account, with the session of their browser"
_APPS: Final = "what apps ask for, not people"
_PAGES: Final = "short tokens for pages of a browser; `tokens new` makes tokens"
_WIZARD: Final = "the wizard, before there is an owner"
NONE: Final = {
    "POST /api/modules/upgrade-all": "`upgrade --all` upgrades one after the other, and says how each ended",
    "POST /api/settings/hub-origin": "the older name of PUT",
    "POST /admin/setup/restore/archives": "the wizard; `backup restore` lists the archives of a destination",
    "POST /account/vaults": f"{_APPS}; `vaults new` makes vaults",
    "POST /account/vaults/<name>/token": _APPS,
    "POST /oauth/register": _APPS,
    "POST /oauth/token": _APPS,
    "POST /oauth/revoke": _APPS,
    "POST /oauth/device": "the page where the code of `login` is typed",
    "POST /oauth/authorize": _OWN,
    "POST /oauth/authorize/approve": "the page of `apps approve`",
    "POST /api/apps/disconnect": f"{_OWN}; `apps revoke` is for everybody",
    "DELETE /api/grants/<path:client_id>": _OWN,
    "POST /api/auth/open-settings": _PAGES,
    **dict.fromkeys(
        (
            "POST /admin/host-admin-token",
            "POST /admin/vault-admin-token/<vault>",
            "GET /admin/vault-admin-token/<vault>",
            "POST /admin/module-token/<short>",
            "GET /admin/module-token/<short>",
            "GET /admin/agent-token",
        ),
        _PAGES,
    ),
    "POST /api/phone-links": "shown by a browser to the phone beside it",
    "POST /api/phone-links/<link_id>/answer": "the browser that shows the link lets the phone in",
    "POST /login/phone": "the page that the phone opens",
    "POST /login/phone/wait": "the page that the phone opens",
    "POST /api/confirmations": "every word on another machine, before what needs a proof",
    **dict.fromkeys(
        (
            *("POST /login", "POST /login/passkey", "POST /login/passkey/options", "POST /login/2fa"),
            *("POST /login/2fa/options", "POST /login/key", "POST /logout"),
        ),
        "signing in and out",
    ),
}
# Whole families of routes: every route that begins so.
FAMILIES: Final = {"/account/": _OWN, "/api/account/": _OWN, "/admin/setup/": _WIZARD}


def word_of(route: str) -> str | None:
    """The word that reaches a route; None if none does."""
    if route in BY_HAND:
        return BY_HAND[route]
    return next((request.word for request in REQUESTS if request.route == route), None)


def reason_for(route: str) -> str | None:
    """Why no word reaches it; None if there is no reason."""
    path = route.partition(" ")[2]
    return NONE.get(route) or next((why for start, why in FAMILIES.items() if path.startswith(start)), None)
