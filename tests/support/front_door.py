"""Accounts on their own database with fake surroundings, for tests that need people. `FrontDoor` is used like a site;
`BrowserTab` is a browser that keeps cookies and fills in forms.
"""

import hashlib
import re
import tempfile
from collections.abc import Awaitable, Callable, Mapping, Sequence
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone

from parachute_hub.accounts.assemble import Accounts, build
from parachute_hub.accounts.encryption import KEY_FILE, Sealer
from parachute_hub.accounts.passkeys.worker import verify
from parachute_hub.accounts.people.owner_reset import here
from parachute_hub.accounts.setup.public_origin import Configured, HubOrigin
from parachute_hub.accounts.setup.setup import unchecked
from parachute_hub.accounts.setup.wizard import Offer
from parachute_hub.accounts.signin.passwords import Hasher
from parachute_hub.admin.people_parts import people_parts
from parachute_hub.app.request_caller import RequestCaller
from parachute_hub.site.auth import Authenticator
from parachute_hub.site.cookies import Jar
from parachute_hub.site.errors import Refused
from parachute_hub.site.root import Root
from parachute_hub.store.audit import Audit
from parachute_hub.store.rows import User
from parachute_hub.store.settings import StoredSettings
from tests.support.asking import ADDRESS, Answer, ask
from tests.support.databases import new_database

HOST = "hub.test"
LOCAL = ("http://hub.test", "http://localhost")
PASSWORD = "three small paper boats"


class CountedRandom:
    """Reproducible bytes that look random."""

    def __init__(self) -> None:
        self._calls = 0

    def __call__(self, size: int) -> bytes:
        self._calls += 1
        return hashlib.shake_256(self._calls.to_bytes(8)).digest(size)


class QuickHasher(Hasher):
    """Keeps the password in place of its hash, and counts calls: argon2 is slow on purpose."""

    def __init__(self) -> None:
        super().__init__(here)
        self.checks = 0

    async def hash(self, password: str) -> str:
        self._accept(password)
        return f"$quick${password}"

    def _verify(self, stored: str, password: str) -> bool:
        self.checks += 1
        if stored.startswith("$quick$"):
            return stored == f"$quick${password}"
        return False

    def _is_stale(self, stored: str) -> bool:
        return False


@define
class RecordedWatch:
    """Records whose access shrank."""

    ended: list[str] = field(factory=list)
    changed: list[str] = field(factory=list)

    def access_ended(self, user_id: str) -> None:
        self.ended.append(user_id)

    def access_changed(self, user_id: str) -> None:
        self.changed.append(user_id)


@define
class FakeInstalls:
    """Installations advanced by the test."""

    shown: list[Offer] = field(
        factory=lambda: [
            Offer(short="vault", name="Vault", tagline="Your notes", purpose="Keeps your notes.", memory_mb=45),
            Offer(short="notes", name="Notes", tagline="Write", purpose="Write and find notes.", memory_mb=30),
            Offer(short="scribe", name="Scribe", tagline="Speak", purpose="Speech to text.", size_bytes=9_000_000),
        ]
    )
    jobs: dict[str, dict[str, Any]] = field(factory=dict)
    asked: list[tuple[str, dict[str, Any]]] = field(factory=list)

    def offers(self) -> Sequence[Offer]:
        return self.shown

    async def begin(self, short: str, options: Mapping[str, Any]) -> str:
        """A running job; the same request again is the same job. Raises Refused."""
        if short not in {offer.short for offer in self.shown}:
            raise Refused(404, "not_found", f"No module {short} is on offer.")
        for job in self.jobs.values():
            if job["short"] == short and job["status"] == "running":
                if self._options(short) == dict(options):
                    return str(job["id"])
                raise Refused(409, "operation_in_progress", f"{short} is busy.")
        job_id = f"job-{len(self.jobs) + 1}"
        self.asked.append((short, dict(options)))
        self.jobs[job_id] = {
            "id": job_id,
            "kind": "install",
            "short": short,
            "status": "running",
            "log": [f"fetching {short}"],
            "steps": [{"name": "fetch the package", "state": "running"}],
        }
        return job_id

    def job(self, job_id: str) -> Mapping[str, Any] | None:
        return self.jobs.get(job_id)

    async def retry(self, job_id: str, *, lean: bool = False) -> str:
        """The same again. Raises Refused."""
        if job_id not in self.jobs:
            raise Refused(404, "not_found", "There is no such operation.")
        short = self.jobs[job_id]["short"]
        return await self.begin(short, {**self._options(short), **({"without_optional": True} if lean else {})})

    def _options(self, short: str) -> dict[str, Any]:
        """The latest options."""
        return [options for asked, options in self.asked if asked == short][-1]

    def finish(self, short: str, *, error: str | None = None, detail: Mapping[str, Any] | None = None) -> None:
        """End the latest job of a module."""
        job = [job for job in self.jobs.values() if job["short"] == short][-1]
        job["status"] = "failed" if error else "succeeded"
        job["log"].append(error or f"{short} is running")
        if error:
            job |= {"error": error, "error_detail": detail}


@define
class FakeVaults:
    """The vaults of a hub; `refusal` is what making or removing one raises.

    A removal waits for its `turn`, and then for `removing`.
    """

    made: list[str] = field(factory=lambda: ["default", "family"])
    refusal: Refused | None = None
    turn: Deferred[None] | None = None
    removing: Deferred[None] | None = None

    def names(self) -> Sequence[str]:
        return tuple(self.made)

    async def create(self, name: str) -> Mapping[str, Any]:
        """Raises Refused."""
        if self.refusal is not None:
            raise self.refusal
        if name in self.made:
            raise Refused(400, "vault_command_failed", f'There is a vault "{name}" already.')
        self.made.append(name)
        return {"name": name}

    async def remove(self, name: str, begin: Callable[[], Awaitable[object]]) -> None:
        """Raises Refused."""
        if self.turn is not None:
            await self.turn
        await begin()
        if self.removing is not None:
            await self.removing
        if self.refusal is not None:
            raise self.refusal
        if name not in self.made:
            raise Refused(400, "vault_command_failed", f'There is no vault "{name}".')
        self.made.remove(name)

    def exists(self, name: str) -> bool:
        return name in self.made


class _Flow:
    """A transport that a test lets flow."""

    def pauseProducing(self) -> None: ...

    def resumeProducing(self) -> None: ...

    def stopProducing(self) -> None: ...

    def loseConnection(self) -> None: ...


@define
class DeliveredBody:
    """A response whose body arrives at once."""

    body: bytes

    def deliverBody(self, protocol: Any) -> None:
        protocol.makeConnection(_Flow())
        protocol.dataReceived(self.body)
        protocol.connectionLost(Failure(ResponseDone()))


@define
class FakeExports:
    """A vault whose export is `body`; `asked` are the people and vaults."""

    body: bytes = b"PK notes"
    asked: list[tuple[str, str]] = field(factory=list)

    async def begin(self, user: User, vault: str) -> Any:
        self.asked.append((user.username, vault))
        return DeliveredBody(self.body)


class DirectVerifier:
    """What the process of `ProcessVerifier` does, in this one."""

    async def verify(self, job: Mapping[str, Any]) -> Mapping[str, Any]:
        return verify(dict(job))


class FrontDoor:
    """Accounts over a temporary database, mounted as a site behind its gate. Browsers connect from `address`, by plain
    http unless `https` is set. `tag` distinguishes its cookies from another hub's.
    """

    def __init__(
        self,
        *,
        hasher: Hasher | None = None,
        clock: Callable[[], float] | None = None,
        installs: FakeInstalls | None = None,
        tag: str = "",
        older_hub: bool = False,
    ) -> None:
        self._folder = tempfile.TemporaryDirectory()
        folder = Path(self._folder.name)
        self.path = folder / "parachute.db"
        self.database = new_database(self.path)
        self.now = 1_800_000_000.0
        self.clock = clock or (lambda: self.now)
        self.address = ADDRESS
        self.https = False
        self.installs = installs or FakeInstalls()
        self.hasher = hasher or QuickHasher()
        self.watch = RecordedWatch()
        self.origin_changes: list[str] = []
        self.origin = HubOrigin(
            StoredSettings(self.database),
            self.database.write,
            Configured(origin=None, source="none", local=LOCAL),
            note=Audit(self.database).note,
            clock=self.clock,
        )

        async def changed(origin: str) -> None:
            self.origin_changes.append(origin)

        self.origin.subscribe(changed)
        random = CountedRandom()
        self.vaults = FakeVaults()
        self.exports = FakeExports()
        self.sealer = Sealer.from_file(folder / KEY_FILE, random)
        self.accounts: Accounts = build(
            self.database,
            sealer=self.sealer,
            jar=Jar(tag),
            hasher=self.hasher,
            caller=RequestCaller(),
            origin=self.origin,
            installs=self.installs,
            self_check=unchecked,
            watch=self.watch,
            links=lambda signed_in: (),
            apps=lambda user_id: [("lamp", "Lamp", "Last used on Nov 1, 2026, connected from 192.0.2.9")],
            verifier=DirectVerifier(),
            vaults=self.vaults,
            exports=self.exports,
            clock=self.clock,
            random=random,
            older_hub=older_hub,
        )
        self.who = Authenticator([self.accounts.recogniser])
        parts = (
            *self.accounts.parts,
            *people_parts(self.accounts, self.who, self.vaults.names, apps=lambda: ["Claude"], reach=unchecked),
        )
        self.parts = parts
        self.root = Root(parts, self.accounts.gate, is_secure=RequestCaller().is_secure)
        self.root.open(parts, self.accounts.gate, self.accounts.prover)

    def close(self) -> None:
        """Close the files."""
        self.database.close()
        self._folder.cleanup()


class BrowserTab:
    """A minimal browser for forms: keeps cookies and key, sends its origin, does not follow redirects.

    `key` None is one without JavaScript.
    """

    def __init__(self, door: FrontDoor) -> None:
        self._door = door
        self.cookies: dict[str, str] = {}
        self.key: str | None = None
        self.last: Answer | None = None

    def get(self, path: str, **headers: str) -> Answer:
        """Open a page."""
        return self._ask(path, "GET", {"Accept": "text/html", **_named(headers)}, b"")

    def get_json(self, path: str) -> Any:
        """Fetch data."""
        return self._ask(path, "GET", {"Accept": "application/json"}, b"").json()

    def post(self, path: str, fields: Mapping[str, Any], *, token: str | None = None, **headers: str) -> Answer:
        """Submit the form of the last opened page."""
        fields = {"__csrf": self.token if token is None else token, **fields}
        if self.key:
            fields = {"__key": self.key, **fields}
        sent = {
            "Accept": "text/html",
            "Content-Type": "application/x-www-form-urlencoded",
            "Sec-Fetch-Site": "same-origin",
            **_named(headers),
        }
        return self._ask(path, "POST", sent, urlencode(fields, doseq=True).encode())

    def send_json(self, method: str, path: str, body: bytes = b"{}", **headers: str) -> Answer:
        """Call an API as a hub page does."""
        sent = {"Content-Type": "application/json", "Sec-Fetch-Site": "same-origin", **_named(headers)}
        if self.key:
            sent = {"X-Parachute-Key": self.key, **sent}
        return self._ask(path, method, sent, body)

    @property
    def token(self) -> str:
        """The CSRF token in the last opened page."""
        return self.field("__csrf")

    def field(self, name: str) -> str:
        """A field's value in the last opened page."""
        assert self.last is not None, "open a page first"
        found = re.search(rf'<input[^>]*name="{name}"[^>]*>', self.last.body.decode())
        assert found is not None, f"no field {name} in {self.last.body.decode()}"
        value = re.search(r'value="([^"]*)"', found[0])
        return unescape(value[1]) if value else ""

    def _ask(self, path: str, method: str, headers: Mapping[str, str], body: bytes) -> Answer:
        sent = dict(headers)
        if self.cookies:
            sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        door = self._door
        answer = ask(door.root, path, method=method, headers=sent, body=body, address=door.address, https=door.https)
        for line in answer.headers.getRawHeaders("set-cookie", []):
            name, _, rest = line.partition("=")
            value = rest.partition(";")[0]
            if value:
                self.cookies[name] = value
            else:
                self.cookies.pop(name, None)
        if b"<html" in answer.body:
            self.last = answer
        return self._arrived(answer)

    def _arrived(self, answer: Answer) -> Answer:
        """What the script of the page after signing in does: keep the key and go on."""
        place = urlsplit(answer.header("location") or "")
        if place.path == "/login/key" and place.fragment:
            self.key = place.fragment
            answer.headers.setRawHeaders("location", parse_qs(place.query)["next"])
        elif answer.header("content-type") == "application/json":
            told = answer.json()
            self.key = (isinstance(told, dict) and told.get("key")) or self.key
        return answer


def _named(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}
