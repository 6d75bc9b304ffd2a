"""Validates client metadata, from registration (RFC 7591) or a metadata document (CIMD).

None of it is trusted: names are shown as unverified, URLs are never fetched or linked.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any

from parachute_hub.oauth.authorization.redirects import MAX_URIS, BadRedirect, Kind, kind_of
from parachute_hub.oauth.authorization.scopes import COMMAND, split
from parachute_hub.oauth.device.policy import GRANT
from parachute_hub.store.rows import Client
from parachute_hub.system.records import frozen

MAX_NAME = 80
_SOFTWARE = ("client_uri", "logo_uri", "policy_uri", "tos_uri", "software_id", "software_version", "application_type")
_MAX_SOFTWARE = 500
_METHODS = ("none", "client_secret_post", "client_secret_basic")
_DOCUMENT_URL = re.compile(
    r"https://([a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?)(/[A-Za-z0-9\-._~:@!$&'()*+,;=%/]*)(\?[^#]*)?"
)


def own_command() -> Client:
    """The `parachute` command on another machine. Its id is no secret, so nothing about it is verified."""
    return Client(
        client_id=COMMAND,
        source="registered",
        status="approved",
        same_hub=False,
        name="Parachute command",
        redirect_uris=("http://127.0.0.1/signed-in",),
        scope="",
        auth_method="none",
        secret_hash=None,
        software={},
        vouched_by="the hub",
        created_at=0.0,
    )


class BadMetadata(Exception):
    """Invalid metadata. `error` is the RFC 7591 error code."""

    def __init__(self, error: str, description: str) -> None:
        super().__init__(description)
        self.error = error


@frozen(kw_only=True)
class ClientMetadata:
    """A client as it describes itself. `kinds` are the kinds of its redirect URIs, in order."""

    name: str
    redirect_uris: tuple[str, ...]
    kinds: tuple[Kind, ...]
    scope: str
    auth_method: str
    software: Mapping[str, str]

    @property
    def stays_home(self) -> bool:
        """True if every redirect URI leads back to this hub, so that nobody else can receive a code."""
        return bool(self.kinds) and all(kind == "own" for kind in self.kinds)


def read(body: Mapping[str, Any], *, origins: Iterable[str]) -> ClientMetadata:
    """Validate registration metadata. Raises BadMetadata. Unknown members are ignored."""
    grants, uris = body.get("grant_types"), body.get("redirect_uris")
    if isinstance(grants, list) and GRANT in grants and not uris:
        # Without a browser there is nowhere to redirect to (RFC 8628).
        kinds: dict[str, Kind] = {}
    else:
        if not isinstance(uris, list) or not uris or not all(isinstance(uri, str) for uri in uris):
            raise BadMetadata("invalid_redirect_uri", "redirect_uris must be a list of at least one URI.")
        if len(uris) > MAX_URIS:
            raise BadMetadata("invalid_redirect_uri", f"Register at most {MAX_URIS} redirect URIs.")
        kinds = _kinds(uris, tuple(origins))
        _only(body, "grant_types", {"authorization_code", "refresh_token", GRANT}, "authorization_code")
        _only(body, "response_types", {"code"}, "code")
    method = _text(body, "token_endpoint_auth_method")
    return ClientMetadata(
        name=display_name(_text(body, "client_name")),
        redirect_uris=tuple(kinds),
        kinds=tuple(kinds.values()),
        scope=" ".join(split(_scope(body))),
        # An unknown value is replaced, and the response says so (RFC 7591, section 2).
        auth_method=method if method in _METHODS else "none",
        software={name: str(body[name])[:_MAX_SOFTWARE] for name in _SOFTWARE if isinstance(body.get(name), str)},
    )


def is_document_url(client_id: str) -> bool:
    """True if the client_id is the URL of a metadata document (draft-ietf-oauth-client-id-metadata-document, section
    3).

    https, a host name, a path; no user, port, fragment or dot segments.

    >>> is_document_url("https://app.example/client.json"), is_document_url("https://app.example")
    (True, False)
    """
    found = _DOCUMENT_URL.fullmatch(client_id)
    if found is None or len(client_id) > 512 or found[2] == "/":
        return False
    host, path = found[1], found[2]
    segments = re.sub("%2e", ".", path, flags=re.IGNORECASE).split("/")
    # A last label that starts with a letter makes it a name; some parsers read anything else as an IP address.
    named = ".." not in host and re.fullmatch(r"[a-z0-9.-]+\.[a-z][a-z0-9-]*", host) is not None
    return named and not {".", ".."} & set(segments)


def domain_of(client_id: str) -> str:
    """The host that the document's URL proves."""
    found = _DOCUMENT_URL.fullmatch(client_id)
    return found[1] if found else ""


def read_document(client_id: str, body: Mapping[str, Any], *, origins: Iterable[str]) -> ClientMetadata:
    """Validate the metadata document at `client_id`. Raises BadMetadata.

    It must contain its own URL byte for byte. The client is public, so no secret and no method that needs one.
    """
    if body.get("client_id") != client_id:
        raise BadMetadata("invalid_client_metadata", "The document's client_id is not its own address.")
    if any(name.startswith("client_secret") for name in body):
        raise BadMetadata("invalid_client_metadata", "A public document must not hold a secret.")
    if body.get("token_endpoint_auth_method", "none") != "none":
        raise BadMetadata("invalid_client_metadata", "token_endpoint_auth_method must be none.")
    return read(body, origins=origins)


def display_name(text: str) -> str:
    """A client's name, safe to display: one line, no invisible or bidirectional characters, limited length.

    >>> display_name("Claude \\u202e edualC\\n"), display_name("")
    ('Claude edualC', 'An app without a name')
    """
    normal = unicodedata.normalize("NFKC", text)
    visible = "".join(" " if c.isspace() else c for c in normal if c.isspace() or unicodedata.category(c)[0] != "C")
    return " ".join(visible.split())[:MAX_NAME].strip() or "An app without a name"


def _kinds(uris: list[str], origins: tuple[str, ...]) -> dict[str, Kind]:
    """The usable redirect URIs and their kinds. Raises BadMetadata if there is none.

    Clients register several, some of which are for other servers. Rejected ones are not in the response and never used.
    """
    kinds: dict[str, Kind] = {}
    problem = ""
    for uri in uris:
        try:
            kinds[uri] = kind_of(uri, origins)
        except BadRedirect as error:
            problem = problem or str(error)
    if not kinds:
        raise BadMetadata("invalid_redirect_uri", problem)
    return kinds


def _scope(body: Mapping[str, Any]) -> str:
    """`scope` as a string; some clients send a list."""
    value = body.get("scope")
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return " ".join(value)
    return _text(body, "scope")


def _text(body: Mapping[str, Any], name: str) -> str:
    value = body.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise BadMetadata("invalid_client_metadata", f"{name} must be a text.")
    return value


def _only(body: Mapping[str, Any], name: str, offered: set[str], needed: str) -> None:
    """Clients list more than the hub supports; they must only include what the code flow needs."""
    value = body.get(name)
    if value is None:
        return
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise BadMetadata("invalid_client_metadata", f"{name} must be a list of texts.")
    if needed not in value:
        raise BadMetadata("invalid_client_metadata", f"{name} must contain {needed}; this hub knows {sorted(offered)}.")
