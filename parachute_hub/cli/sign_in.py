"""Signing the command in to a hub: by a code that is typed elsewhere, or by the browser of this machine."""

import secrets
import time
import webbrowser
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler
from socketserver import TCPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from parachute_hub.cli.client import CommandError, HubDown
from parachute_hub.cli.profiles import Held
from parachute_hub.cli.remote import Site, held_from, refused
from parachute_hub.oauth.authorization.scopes import COMMAND
from parachute_hub.oauth.device.policy import GRANT
from parachute_hub.oauth.tokens.grant_policy import challenge_of
from parachute_hub.system.log_lines import visible

_BROWSER_SECONDS = 300.0
_CALLBACK = "/signed-in"
_DONE = b"""<!doctype html><html lang="en"><meta charset="utf-8"><title>Parachute</title>
<p>You can close this page. The command goes on by itself.</p></html>"""


def revoke(site: Site, held: Held) -> bool:
    """End a sign-in with everything that came of it. False if the hub does not do it."""
    return site.post("/oauth/revoke", {"client_id": COMMAND, "token": held.refresh_token})[0] == 200


def has_browser(environ: Mapping[str, str], platform: str) -> bool:
    """True if a browser can open here. Over SSH it would open on a screen that nobody looks at.

    >>> has_browser({"DISPLAY": ":0"}, "linux"), has_browser({}, "linux")
    (True, False)
    >>> has_browser({"SSH_CONNECTION": "x"}, "darwin")
    False
    """
    if environ.get("BROWSER"):
        return True
    if environ.get("SSH_CONNECTION"):
        return False
    return platform in ("darwin", "win32") or bool(environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY"))


def by_device(site: Site, say: Callable[[str], None], sleep: Callable[[float], None] = time.sleep) -> Held:
    """Show a code and wait until it was typed (RFC 8628). Raises CommandError."""
    status, begun = site.post("/oauth/device_authorization", {"client_id": COMMAND})
    if status != 200:
        raise refused(begun, "The hub gives no code.")
    try:
        place, code, secret = (str(begun[name]) for name in ("verification_uri", "user_code", "device_code"))
        lasts, interval = float(begun["expires_in"]), float(begun.get("interval", 5))
    except (KeyError, TypeError, ValueError):
        raise CommandError("The hub's answer holds no code.") from None
    if not place.startswith(site.origin + "/"):
        raise CommandError(f"The hub names a page elsewhere: {visible(place)[:200]}")
    say(
        f"Open this page on any device, sign in, and type the code:\n\n  {visible(place)}\n\n"
        f"  {visible(code)}\n\nIt lasts {int(lasts // 60)} minutes. Waiting ..."
    )
    end, lost = time.monotonic() + lasts, False
    asked = {"grant_type": GRANT, "client_id": COMMAND, "device_code": secret}
    while time.monotonic() < end:
        sleep(interval)
        try:
            status, answer = site.post("/oauth/token", asked)
        except HubDown:
            # Section 3.5: ask less often while the hub cannot be reached.
            interval, lost = min(interval * 2, 60.0), True
            continue
        if status == 200:
            return held_from(answer, time.time())
        if answer.get("error") == "slow_down":
            interval += 5
        elif answer.get("error") != "authorization_pending" and status < 500 and status != 429:
            if lost and answer.get("error") != "access_denied":
                # Its answer with the tokens, which it gives once, may be what did not arrive.
                raise CommandError("The connection broke while the hub answered. Run the command again.")
            raise refused(answer, "The hub did not let you in.")
    raise CommandError("Nobody typed the code in time. Run the command again.")


def by_browser(site: Site, say: Callable[[str], None], open_page: Callable[[str], object] = webbrowser.open) -> Held:
    """Authorization code with PKCE and a loopback redirect (RFC 8252). Raises CommandError."""
    verifier, state = secrets.token_urlsafe(48), secrets.token_urlsafe(24)
    with _Callback() as callback:
        uri = f"http://127.0.0.1:{callback.server_address[1]}{_CALLBACK}"
        values = {
            "response_type": "code",
            "client_id": COMMAND,
            "redirect_uri": uri,
            "state": state,
            "code_challenge": challenge_of(verifier),
            "code_challenge_method": "S256",
        }
        place = f"{site.origin}/oauth/authorize?{urlencode(values)}"
        say(f"Allow this in your browser:\n\n  {place}\n\nNo browser here? Use: parachute login --device {site.origin}")
        open_page(place)
        sent = callback.wait(state)
    if sent.get("iss") != site.origin:
        raise CommandError("The answer came from another hub, so it was not used.")
    if "code" not in sent:
        raise refused(sent, "The hub did not let you in.")
    asked = {
        "grant_type": "authorization_code",
        "client_id": COMMAND,
        "code": sent["code"],
        "redirect_uri": uri,
        "code_verifier": verifier,
    }
    status, answer = site.post("/oauth/token", asked)
    if status != 200:
        raise refused(answer, "The hub did not let you in.")
    return held_from(answer, time.time())


class _Handler(BaseHTTPRequestHandler):
    # A connection that says nothing must not keep the browser waiting.
    timeout = 5.0

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        if parts.path != _CALLBACK:
            self.send_error(404)
            return
        self.server.sent = {name: values[0] for name, values in parse_qs(parts.query).items()}  # type: ignore[attr-defined]
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(_DONE)))
        self.end_headers()
        self.wfile.write(_DONE)

    def log_message(self, format: str, *args: Any) -> None:
        return


class _Callback(TCPServer):
    """Waits for the browser on a loopback port. Requests that do not bring the right `state` are ignored."""

    timeout = 1.0
    sent: Mapping[str, str] | None = None

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)

    def wait(self, state: str) -> Mapping[str, str]:
        """What came back. Raises CommandError."""
        end = time.monotonic() + _BROWSER_SECONDS
        while time.monotonic() < end:
            self.handle_request()
            if self.sent is not None and secrets.compare_digest(self.sent.get("state", "").encode(), state.encode()):
                return self.sent
            self.sent = None
        raise CommandError("Nobody allowed it in the browser in time. Try again, or with --device.")
