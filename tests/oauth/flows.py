import html
import json
import re
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import treq
from attrs import frozen
from treq.testing import RequestTraversalAgent
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IConsumer
from twisted.web.http_headers import Headers
from twisted.web.iweb import IBodyProducer
from zope.interface import implementer

from parachute_hub.oauth.tokens.grant_policy import challenge_of
from tests.oauth.world import WorldCase
from tests.support.oauth import ISSUER, fake_csrf

VERIFIER = "v" * 43
CALLBACK = "https://app.test/callback"
DEFAULT = f"{ISSUER}/vault/default/mcp"


@implementer(IBodyProducer)
class Body:
    """A request's body, all at once."""

    def __init__(self, body: bytes) -> None:
        self.body = body
        self.length = len(body)

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        consumer.write(self.body)
        return succeed(None)

    def pauseProducing(self) -> None:
        pass

    def resumeProducing(self) -> None:
        pass

    def stopProducing(self) -> None:
        pass


@frozen
class Reply:
    """An answer of the site."""

    status: int
    headers: Headers
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    def header(self, name: str) -> str | None:
        values = self.headers.getRawHeaders(name)
        return None if values is None else str(values[0])

    @property
    def location(self) -> str:
        return self.header("Location") or ""

    @property
    def sent_back(self) -> dict[str, str]:
        """The parameters of a redirect."""
        return dict(parse_qsl(urlsplit(self.location).query))

    def fields(self) -> list[tuple[str, str]]:
        """What the form on the page would send if it were sent as it is, buttons left out."""
        found = []
        for tag in re.findall(r"<input\b[^>]*>", self.text):
            attributes = {name: html.unescape(value) for name, value in re.findall(r'([\w-]+)="([^"]*)"', tag)}
            ticked = attributes.get("type") not in ("checkbox", "radio") or "checked" in attributes
            if ticked and "name" in attributes:
                found.append((attributes["name"], attributes.get("value", "")))
        return found


class FlowCase(WorldCase):
    """Tests of the endpoints as apps and browsers use them. `owner` is an admin."""

    def setUp(self) -> None:
        super().setUp()
        self.agent = RequestTraversalAgent(self.world.site())
        self.owner = self.world.add_user("owner", admin=True)

    def send(
        self,
        method: str,
        path: str,
        *,
        form: Any = None,
        data: Any = None,
        who: str | None = None,
        **headers: str,
    ) -> Reply:
        """One request. `who` is signed in; a form or JSON body; `A_B` in `headers` is the header `A-B`.

        An empty header is left out: `Sec_Fetch_Dest=""` is a browser that does not say what it shows.
        """
        named = Headers({name.replace("_", "-"): [value] for name, value in headers.items()})
        body = None
        if form is not None:
            body = urlencode(form).encode()
            named.setRawHeaders("Content-Type", ["application/x-www-form-urlencoded"])
        if data is not None:
            body = json.dumps(data).encode()
            named.setRawHeaders("Content-Type", ["application/json"])
            if who:
                named.setRawHeaders("X-Parachute-CSRF", [fake_csrf(who)])
        if who:
            named.setRawHeaders("Cookie", [f"who={who}"])
            if not named.hasHeader("Sec-Fetch-Site"):
                named.setRawHeaders("Sec-Fetch-Site", ["same-origin"])
            if data is None and not named.hasHeader("Sec-Fetch-Dest"):
                named.setRawHeaders("Sec-Fetch-Dest", ["document"])
        for empty in [name for name, values in named.getAllRawHeaders() if values == [b""]]:
            named.removeHeader(empty)
        producer = None if body is None else Body(body)
        uri = (ISSUER + path).encode()
        response = self.successResultOf(self.agent.request(method.encode(), uri, named, producer))
        return Reply(response.code, response.headers, self.successResultOf(treq.content(response)))

    def register(self, *uris: str, bearer: str | None = None, **metadata: Any) -> dict[str, Any]:
        """A new app's registration."""
        headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
        data = {"redirect_uris": list(uris) or [CALLBACK], "client_name": "App", **metadata}
        reply = self.send("POST", "/oauth/register", data=data, **headers)
        self.assertEqual(reply.status, 201, reply.body)
        answer: dict[str, Any] = reply.json
        return answer

    def approved(self, *uris: str, **metadata: Any) -> str:
        """The id of an approved app."""
        registered = self.register(*uris, **metadata)
        self.world.do(self.world.clients.approve, registered["client_id"], "owner")
        return str(registered["client_id"])

    def ask_path(self, client_id: str, **changes: str | None) -> str:
        """An authorization request; a change to None takes a parameter away."""
        values = {
            "client_id": client_id,
            "redirect_uri": CALLBACK,
            "response_type": "code",
            "scope": "vault:read vault:write",
            "state": "st&te",
            "code_challenge": challenge_of(VERIFIER),
            "code_challenge_method": "S256",
            "resource": DEFAULT,
            **changes,
        }
        return "/oauth/authorize?" + urlencode({name: value for name, value in values.items() if value is not None})

    def authorize(self, client_id: str, who: str | None = "owner", **changes: str | None) -> Reply:
        """Send somebody there."""
        return self.send("GET", self.ask_path(client_id, **changes), who=who)

    def say(self, page: Reply, who: str = "owner", *, yes: bool = True, **changes: Any) -> Reply:
        """Answer a consent page as a browser would; a list as a change replaces all values of that name."""
        fields = [(name, value) for name, value in page.fields() if name not in changes]
        for name, value in changes.items():
            fields += [(name, one) for one in (value if isinstance(value, list) else [value])]
        fields.append(("approve", "yes" if yes else "no"))
        return self.send("POST", "/oauth/authorize", form=fields, who=who)

    def code(self, client_id: str, who: str = "owner", **changes: str | None) -> str:
        """A code for consenting to everything offered."""
        reply = self.authorize(client_id, who, **changes)
        if reply.status == 200:
            reply = self.say(reply, who, password="right")
        self.assertEqual(reply.status, 303, reply.text)
        return reply.sent_back["code"]

    def redeem(self, client_id: str, code: str, **changes: str) -> Reply:
        """Exchange a code."""
        values = {
            "grant_type": "authorization_code",
            "client_id": client_id,
            "code": code,
            "redirect_uri": CALLBACK,
            "code_verifier": VERIFIER,
            **changes,
        }
        return self.send("POST", "/oauth/token", form=values)

    def refresh(self, client_id: str, token: str, **changes: str) -> Reply:
        """Exchange a refresh token."""
        values = {"grant_type": "refresh_token", "client_id": client_id, "refresh_token": token, **changes}
        return self.send("POST", "/oauth/token", form=values)

    def connect(self, client_id: str, who: str = "owner", **changes: str | None) -> dict[str, Any]:
        """The whole flow; the token endpoint's response."""
        reply = self.redeem(client_id, self.code(client_id, who, **changes))
        self.assertEqual(reply.status, 200, reply.body)
        answer: dict[str, Any] = reply.json
        return answer

    def maintain(self) -> Deferred[None]:
        """The hourly tasks."""
        return Deferred.fromCoroutine(self.world.oauth.maintain())

    def is_refused(self, token: str, vault: str = "default") -> bool:
        """Whether the proxy refuses the token for that vault."""
        return self.world.oauth.guard.refusal("vault", vault, token) is not None
