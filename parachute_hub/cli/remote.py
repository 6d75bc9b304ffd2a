"""A hub on another machine: its address, its OAuth endpoints, and the tokens of a sign-in."""

import http.client
import ssl
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from parachute_hub.cli.client import CommandError, HubClient, HubDown
from parachute_hub.cli.profiles import Held, Profile, Profiles
from parachute_hub.oauth.authorization.scopes import COMMAND, covers
from parachute_hub.settings import is_host
from parachute_hub.system import strict_json
from parachute_hub.system.log_lines import visible
from parachute_hub.system.strict_json import BadJson

_TIMEOUT = 30.0
_MOST = 256 * 1024
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
# An access token is renewed while it is still good for so many seconds.
_SPARE = 60.0
# How long completion waits, in seconds: somebody is typing.
_QUICK = 1.0


def origin_of(address: str, *, plain: bool = False) -> str:
    """Scheme, host and port of what a person typed. Raises CommandError.

    `plain` allows http to another machine, where everybody on the way can read the tokens.

    >>> origin_of("hub.example.com"), origin_of("https://Hub.example.com:8443/admin/")
    ('https://hub.example.com', 'https://hub.example.com:8443')
    """
    address = address.strip()
    try:
        if any(letter.isspace() or not letter.isprintable() for letter in address):
            raise ValueError
        parts = urlsplit(address if "://" in address else f"https://{address}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if host is None or not _is_host(host) or parts.scheme not in ("https", "http") or port == 0:
        raise CommandError(f"{address} is not the address of a hub. Write it like https://hub.example.com", code=2)
    if "@" in parts.netloc:
        raise CommandError(f"Leave out the user name and password: {parts.scheme}://{host}", code=2)
    if parts.scheme == "http" and host not in _LOOPBACK and not plain:
        raise CommandError(
            f"{address} has no encryption: everybody on the way could read your notes and keys. Use https, or "
            "--plain-http in a network that you trust.",
            code=2,
        )
    named = f"[{host}]" if ":" in host else host
    usual = {"https": 443, "http": 80}[parts.scheme]
    return f"{parts.scheme}://{named}" + ("" if port in (None, usual) else f":{port}")


def _is_host(name: str) -> bool:
    """True for what http.client takes, which encodes names in other letters itself."""
    try:
        return is_host(name if name.isascii() else name.encode("idna").decode())
    except ValueError:
        return False


class Site:
    """Requests to one origin, without following redirects."""

    def __init__(self, origin: str) -> None:
        self.origin = origin
        parts = urlsplit(origin)
        self._host, self._port, self._tls = str(parts.hostname), parts.port, parts.scheme == "https"

    def connect(self, timeout: float = _TIMEOUT) -> http.client.HTTPConnection:
        """A connection, not opened yet."""
        if self._tls:
            return http.client.HTTPSConnection(
                self._host, self._port, timeout=timeout, context=ssl.create_default_context()
            )
        return http.client.HTTPConnection(self._host, self._port, timeout=timeout)

    def silent(self, why: object = "") -> HubDown:
        """The error for a hub that does not answer. `why` is the system's error, if there is one."""
        told = why.strerror if isinstance(why, OSError) and why.strerror else why
        return HubDown(f"{self.origin} does not answer.{f' ({told})' if told else ''} Is the hub running and online?")

    def get(self, path: str) -> dict[str, Any]:
        """A public document. Raises CommandError."""
        status, value = self._ask("GET", path, None)
        if status != 200:
            raise CommandError(f"There seems to be no Parachute hub at {self.origin}: {path} answers {status}.")
        return value

    def post(self, path: str, values: Mapping[str, str]) -> tuple[int, dict[str, Any]]:
        """A form; the status and the JSON object. Raises HubDown."""
        return self._ask("POST", path, urlencode(values))

    def _ask(self, method: str, path: str, body: str | None) -> tuple[int, dict[str, Any]]:
        connection = self.connect()
        headers = {"Accept": "application/json"}
        headers |= {"Content-Type": "application/x-www-form-urlencoded"} if body is not None else {}
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            raw = response.read(_MOST)
            value = strict_json.read(raw, limit=_MOST).value if raw.strip() else {}
        except BadJson:
            value = {}
        except ssl.SSLError as error:
            raise self.silent(error.reason or error) from None
        except (OSError, http.client.HTTPException) as error:
            raise self.silent(error) from None
        finally:
            connection.close()
        return response.status, value if isinstance(value, dict) else {}


def held_from(answer: Mapping[str, Any], now: float) -> Held:
    """The tokens in an answer of the token endpoint. Raises CommandError."""
    try:
        return Held(
            access_token=str(answer["access_token"]),
            refresh_token=str(answer["refresh_token"]),
            expires_at=now + float(answer["expires_in"]),
            scope=str(answer.get("scope", "")),
        )
    except (KeyError, TypeError, ValueError):
        raise CommandError("The hub's answer holds no tokens.") from None


def refused(answer: Mapping[str, Any], otherwise: str) -> CommandError:
    """The hub's own sentence about a refusal."""
    return CommandError(str(answer.get("error_description") or answer.get("error") or otherwise))


class RemoteHub:
    """Implements `client.Link` for a hub that somebody signed in to. Tokens go to its origin only.

    A `quick` one waits for a second at most, and renews no token.
    """

    elsewhere = True

    def __init__(
        self,
        profile: Profile,
        profiles: Profiles,
        *,
        say: Callable[[str], None] = lambda text: print(text, file=sys.stderr),
        sleep: Callable[[float], None] = time.sleep,
        quick: bool = False,
    ) -> None:
        self._profile = profile
        self._profiles = profiles
        self._site = Site(profile.origin)
        self._say = say
        self._sleep = sleep
        self._quick = quick
        self.help = f"Sign in again: parachute login {profile.origin}"

    def connect(self, timeout: float) -> http.client.HTTPConnection:
        return self._site.connect(min(timeout, _QUICK) if self._quick else timeout)

    def silent(self) -> HubDown:
        return self._site.silent()

    def instance(self) -> str | None:
        """Its address says which hub it is."""
        return None

    def opens(self, vault: str, verb: str) -> Callable[[], str] | None:
        """A member signs in to vaults."""
        return self._fresh if covers(self._held().scope.split(), f"vault:{vault}:{verb}") else None

    def token(self) -> str:
        """The access token of an owner. Raises CommandError for a member."""
        if not any(scope.startswith("parachute:") for scope in self._held().scope.split()):
            raise CommandError(
                f"This needs an owner of {self._profile.origin}. You can export and import the vaults that are shared "
                "with you."
            )
        return self._fresh()

    def _fresh(self) -> str:
        """The access token, renewed before it ends."""
        held = self._held()
        if held.expires_at - _SPARE > time.time():
            return held.access_token
        if self._quick:
            # A renewal that is cut short would lose the sign-in.
            raise CommandError("The access token has ended.")
        with self._profiles.locked():
            # Another command may have renewed it meanwhile.
            held = self._held()
            if held.expires_at - _SPARE <= time.time():
                held = self._renewed(held)
                self._profiles.keep(self._profile, held)
        return held.access_token

    def confirmed(self, client: HubClient, operation: str) -> str | None:
        """Say which link to open, wait, and go on. Raises CommandError if the person refuses or nobody answers."""
        begun = client.call("POST", "/api/confirmations", {"operation": operation})
        try:
            place, number = str(begun["url"]), str(begun["id"])
            lasts, interval = float(begun["expires_in"]), float(begun["interval"])
        except (KeyError, TypeError, ValueError):
            raise CommandError("The hub asks for a confirmation, but does not say where.") from None
        if not place.startswith(f"{self._site.origin}/"):
            raise CommandError(f"The hub names a page elsewhere, so it is not shown: {visible(place)[:200]}")
        self._say(f"Confirm this in your browser:\n\n  {visible(place)}\n")
        end = time.monotonic() + lasts
        while time.monotonic() < end:
            self._sleep(interval)
            answer = client.call("GET", f"/api/confirmations/{quote(number, safe='')}")
            if answer.get("state") == "confirmed" and "proof" in answer:
                return str(answer["proof"])
            if answer.get("state") == "refused":
                raise CommandError("You refused it, so nothing was done.")
        raise CommandError("Nobody confirmed it in time. Run the command again.")

    def _held(self) -> Held:
        held = self._profiles.held(self._profile)
        if held is None:
            raise CommandError(f"You are not signed in to {self._profile.origin}. {self.help}")
        return held

    def _renewed(self, held: Held) -> Held:
        asked = {"grant_type": "refresh_token", "client_id": COMMAND, "refresh_token": held.refresh_token}
        status, answer = self._site.post("/oauth/token", asked)
        if status >= 500:
            raise self._site.silent(f"it answered {status}")
        if status != 200:
            raise CommandError(f"{refused(answer, 'Your sign-in has ended.')} {self.help}")
        return held_from(answer, time.time())
