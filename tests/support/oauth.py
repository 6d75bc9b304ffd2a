"""Fixtures for tests of the issuer: a real database in a temporary folder, a frozen clock, keys."""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ParamSpec, TypeVar
from urllib.parse import parse_qsl

from attrs import define, field
from twisted.internet.task import Clock
from twisted.web.iweb import IRequest

from parachute_hub.accounts.model import SignedIn, Visitor
from parachute_hub.oauth.assemble import build
from parachute_hub.oauth.authorization.browser_session import PageSessions
from parachute_hub.oauth.authorization.scopes import HOST_SCOPES
from parachute_hub.oauth.clients.metadata_fetch import DocumentUnreadable, FetchedDocument
from parachute_hub.oauth.metadata import Service
from parachute_hub.oauth.tokens.keys import make_private_pem
from parachute_hub.site.auth import Principal
from parachute_hub.site.errors import Refused
from parachute_hub.site.root import Root
from parachute_hub.store.audit import Audit
from parachute_hub.store.clients import Clients
from parachute_hub.store.grants import Grants
from parachute_hub.store.rows import Session, User, VaultRole
from parachute_hub.store.trail import Trail
from parachute_hub.store.users import Users
from tests.support.at_once import at_once
from tests.support.databases import new_database

P = ParamSpec("P")
T = TypeVar("T")
ISSUER = "https://hub.test"
LOCAL = "http://127.0.0.1:1939"
NOW = 1_900_000_000.0

_pems: list[str] = []


def counted_random() -> Callable[[int], bytes]:
    """Reproducible bytes that are never the same twice."""
    count = 0

    def random(size: int) -> bytes:
        nonlocal count
        count += 1
        return hashlib.shake_128(str(count).encode()).digest(size)

    return random


class PemSupply:
    """Keys generated once per test run and handed out in order, because generating one takes long."""

    def __init__(self) -> None:
        self._next = 0

    async def __call__(self, make: Callable[..., Any], *args: Any) -> Any:
        """The next key in place of `make()`; other work runs immediately."""
        if make is not make_private_pem:
            return make(*args)
        if self._next == len(_pems):
            _pems.append(make())
        self._next += 1
        return _pems[self._next - 1]


@define
class FakeResources:
    """Two vaults and scribe, unless a test changes it."""

    names: list[str] = field(factory=lambda: ["default", "work"])
    scopes: dict[str, list[str]] = field(
        factory=lambda: {
            "vault": ["vault:read", "vault:write", "vault:admin"],
            "scribe": ["scribe:transcribe", "scribe:admin"],
        }
    )

    def vaults(self) -> Sequence[str]:
        return self.names

    def module_scopes(self) -> Mapping[str, Sequence[str]]:
        return self.scopes

    def services_catalog(self) -> Iterable[Service]:
        vaults = [Service(short="vault", path=f"/vault/{name}", version="1.0", vault=name) for name in self.names]
        others = [Service(short=short, path=f"/{short}", version="1.0") for short in self.scopes if short != "vault"]
        return [*vaults, *others]


class NoDocuments:
    """An internet with the documents in `at`; every other address fails. `asked` records requested addresses."""

    def __init__(self) -> None:
        self.at: dict[str, FetchedDocument] = {}
        self.asked: list[str] = []

    async def fetch(self, url: str, host: str) -> FetchedDocument:
        self.asked.append(url)
        if url not in self.at:
            raise DocumentUnreadable()
        return self.at[url]


class FakeAccounts:
    """Fake accounts: the Cookie header names who is signed in, the password is `right`, forms need `csrf`. Implements
    `browser_session`'s protocols, and a `StepUp` that takes the header `X-Parachute-Proof` when it names the
    operation.
    """

    def __init__(self, users: Users, clock: Clock) -> None:
        self._users = users
        self._clock = clock

    def signed_in(self, request: IRequest) -> SignedIn | None:
        """Whose cookie it is."""
        name = (request.getHeader("Cookie") or "").removeprefix("who=")
        user = self._users.by_name(name) if name else None
        if user is None:
            return None
        now = self._clock.seconds()
        session = Session(
            id=f"session-{name}",
            user_id=user.id,
            created_at=now,
            authenticated_at=now - 60,
            last_seen_at=now,
            expires_at=now + 1000,
            methods="pwd",
            address="",
            user_agent="",
        )
        return SignedIn(user=user, session=session, token=name)

    def recognise(self, request: IRequest) -> Principal | None:
        """The same as a principal; 403 without the session's CSRF token, or with a temporary password."""
        found = self.signed_in(request)
        if found is None:
            return None
        if request.method not in (b"GET", b"HEAD"):
            presented = request.getHeader("X-Parachute-CSRF") or self._field(request)
            site = request.getHeader("Sec-Fetch-Site")
            if presented != fake_csrf(found.token) or site != "same-origin":
                raise Refused(403, "csrf_failed", "This form is out of date.")
        if found.user.must_change_password:
            raise Refused(403, "force_change_password", "Choose a password of your own first.")
        scopes = frozenset({"hub:admin", *HOST_SCOPES}) if found.user.is_admin else frozenset[str]()
        return Principal(
            kind="session",
            name=found.user.username,
            scopes=scopes,
            user_id=found.user.id,
            session_id=found.session.id,
        )

    async def verify(self, signed_in: Any, visitor: Any, *, password: str = "", code: str = "") -> None:
        if not password and not code:
            raise Refused(400, "password_required", "Type your password to confirm this.")
        if password != "right":
            raise Refused(401, "invalid_credentials", "That is not right. Try again.")

    def grant(self, holder: str, operation: str) -> tuple[str, float]:
        """What `prove` accepts."""
        return operation, self._clock.seconds() + 300

    def visitor(self, request: IRequest) -> Visitor:
        """The address that a test sets."""
        return Visitor(address=request.getHeader("X-Test-Address") or "192.0.2.1")

    def is_plain(self, request: IRequest) -> bool:
        """Whether a test says that it is plain http."""
        return bool(request.getHeader("X-Test-Plain"))

    def prove(self, request: IRequest, principal: Principal, operation: str) -> None:
        """Accepts the operator, and anyone who names the operation."""
        person = principal.session_id if principal.kind == "session" else principal.connection
        proved = person is not None and request.getHeader("X-Parachute-Proof") == operation
        if principal.kind != "operator" and not proved:
            raise Refused(403, "step_up_required", "Confirm first.", detail={"operation": operation})

    @staticmethod
    def _field(request: IRequest) -> str:
        request.content.seek(0)
        fields = dict(parse_qsl(request.content.read().decode()))
        request.content.seek(0)
        return str(fields.get("__csrf", ""))


def fake_csrf(token: str) -> str:
    """The CSRF token of a session."""
    return f"csrf-{token}"


class World:
    """A hub's issuer with its stores, a clock, and fake accounts, in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.clock = Clock()
        self.clock.advance(NOW)
        self.database = new_database(folder / "parachute.db")
        self.users = Users(self.database)
        self.clients, self.grants = Clients(self.database), Grants(self.database)
        self.resources, self.documents = FakeResources(), NoDocuments()
        self.accounts = FakeAccounts(self.users, self.clock)
        self.oauth = build(
            self.database,
            home=folder,
            issuer=ISSUER,
            origins=[LOCAL],
            resources=self.resources,
            documents=self.documents,
            clock=self.clock,
            random=counted_random(),
            off_thread=PemSupply(),
        )
        self.keys, self.issuer, self.tokens = self.oauth.keys, self.oauth.issuer, self.oauth.tokens

    def site(self) -> Root:
        """The issuer's part of the hub's site."""
        visits = PageSessions(
            sessions=self.accounts, proofs=self.accounts, browsers=self.accounts, csrf_token=fake_csrf
        )
        trail = Trail(self.database.write, Audit(self.database), self.clock.seconds)
        parts = self.oauth.parts(visits=visits, sessions=self.accounts, step_up=self.accounts, done=trail.done)
        return Root(parts, is_secure=lambda request: request.isSecure())

    def do(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a store's write."""
        return at_once(self.database.write(work, *args, **kwargs))

    def add_user(self, name: str, *, admin: bool = False, vaults: Mapping[str, VaultRole] | None = None) -> User:
        """A person whose id is `id-<name>`."""
        user = User(
            id=f"id-{name}",
            username=name,
            password_hash="unused",
            role="admin" if admin else "member",
            must_change_password=False,
            email=None,
            created_at=NOW,
            password_changed_at=NOW,
            vaults=vaults or {},
        )
        self.do(self.users.add, user)
        return user

    def close(self) -> None:
        """Close the database."""
        self.database.close()
