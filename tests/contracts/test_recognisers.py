"""Who a request is from: fake and real accounts and bearers."""

from collections.abc import Callable
from functools import partial
from itertools import product
from typing import Any

from twisted.internet.defer import Deferred
from twisted.web.iweb import IRequest
from twisted.web.resource import Resource

from parachute_hub.accounts.model import SignedIn
from parachute_hub.accounts.sessions.browser import Browser
from parachute_hub.app.request_caller import RequestCaller
from parachute_hub.oauth.authorization.browser_session import Browsers, Proofs, SessionLookup
from parachute_hub.oauth.tokens.bearer_auth import BearerRecogniser
from parachute_hub.site.auth import Principal, StepUp
from parachute_hub.site.cookies import Jar
from parachute_hub.site.errors import Refused
from tests.accounts.doors import DoorCase
from tests.oauth.world import WorldCase
from tests.support.asking import ask
from tests.support.front_door import PASSWORD, BrowserTab
from tests.support.oauth import fake_csrf
from tests.support.operators import KnownBearers

Question = Callable[[IRequest], Any]


class Asked(Resource):
    """Runs one check per request and answers nothing."""

    isLeaf = True

    def __init__(self, question: Question) -> None:
        super().__init__()
        self.question = question
        self.found: Any = None

    def render(self, request: IRequest) -> bytes:
        try:
            self.found = self.question(request)
        except Refused as refused:
            self.found = refused.status, refused.error
        return b""


def found(question: Question, method: str = "GET", **headers: str) -> Any:
    """The result for a request with these headers."""
    page = Asked(question)
    ask(page, "/api/x", method=method, headers={name.replace("_", "-"): text for name, text in headers.items()})
    return page.found


class BearerContract(WorldCase):
    def test_both_answer_alike(self) -> None:
        good = self.mint("hub:admin", audience="hub").token
        real = BearerRecogniser(self.world.issuer, self.world.users)
        principal = Principal(kind="token", name="someone", scopes=frozenset({"hub:admin"}))
        fake = KnownBearers({good: principal})
        for line in (
            None,
            f"Bearer {good}",
            f"bearer  {good}",
            f"Bearer {good}x",
            "Bearer ",
            "Bearer x",
            good,
            "Basic eA==",
        ):
            headers = {} if line is None else {"Authorization": line}
            self.assertEqual(found(fake.recognise, **headers), found(real.recognise, **headers), line)
        self.assertEqual(found(real.recognise, Authorization=f"Bearer {good}"), principal)


class AccountsContract(DoorCase, WorldCase):
    """An admin, a member, and a person with a temporary password, on a real front door and the fake one."""

    def setUp(self) -> None:
        DoorCase.setUp(self)
        WorldCase.setUp(self)
        admin, member = self.owner(), self.member()
        self.tabs = {"ada": admin, "grace": member}
        self.world.add_user("ada", admin=True)
        self.world.add_user("grace")

    def real_headers(self, who: str, csrf: str) -> dict[str, str]:
        if not who:
            return {"X_Parachute_CSRF": "x"} if csrf else {}
        tab: BrowserTab = self.tabs[who]
        token = {"right": str(tab.get_json("/api/me")["csrf"]), "wrong": "x"}.get(csrf)
        cookies = "; ".join(f"{name}={value}" for name, value in tab.cookies.items())
        key = {"X_Parachute_Key": tab.key} if tab.key else {}
        return {"Cookie": cookies, **key, **({"X_Parachute_CSRF": token} if token else {})}

    def fake_headers(self, who: str, csrf: str) -> dict[str, str]:
        token = {"right": fake_csrf(who), "wrong": "x"}.get(csrf)
        return {**({"Cookie": f"who={who}"} if who else {}), **({"X_Parachute_CSRF": token} if token else {})}

    def test_who_is_recognised(self) -> None:
        real, fake = self.door.accounts.recogniser, self.world.accounts
        for who, method, csrf, site in product(
            ("", "ada", "grace"),
            ("GET", "POST"),
            ("", "right", "wrong"),
            ("", "same-origin", "same-site", "cross-site"),
        ):
            said = {"Sec_Fetch_Site": site} if site else {}
            answers = [
                plain(found(recogniser.recognise, method, **headers(who, csrf), **said))
                for recogniser, headers in ((real, self.real_headers), (fake, self.fake_headers))
            ]
            self.assertEqual(answers[0], answers[1], (who, method, csrf, site))
            signed_in = [
                found(recogniser.signed_in, method, **headers(who, csrf), **said)
                for recogniser, headers in ((real, self.real_headers), (fake, self.fake_headers))
            ]
            self.assertEqual([type(one) for one in signed_in], [SignedIn if who else type(None)] * 2)

    def test_what_proves_presence(self) -> None:
        real, fake = self.door.accounts.step_up, self.world.accounts
        browser = Browser(jar=Jar(), caller=RequestCaller(), origins=self.door.origin, random=bytes, secret=str)
        for password in (PASSWORD, "wrong", ""):
            outcomes = []
            for accounts, proofs, browsers, headers, right in (
                (self.door.accounts.recogniser, real, browser, self.real_headers, PASSWORD),
                (fake, fake, fake, self.fake_headers, "right"),
            ):
                typed = right if password == PASSWORD else password

                question = partial(verified, accounts, proofs, browsers, typed)
                outcomes.append(found(question, **headers("ada", "")))
            self.assertEqual(outcomes[0], outcomes[1], password)

    def test_who_needs_a_proof(self) -> None:
        real, fake = self.door.accounts.step_up, self.world.accounts
        for kind, proof in product(("session", "token", "operator"), ("", "other.operation")):
            held = {"session": {"session_id": "s"}, "token": {"connection": "c"}}.get(kind, {})
            principal = Principal(kind=kind, name="ada", scopes=frozenset(), **held)  # type: ignore[arg-type]
            headers = {"X_Parachute_Proof": proof} if proof else {}
            answers = [found(partial(prove, side, principal), "POST", **headers) for side in (real, fake)]
            self.assertEqual(answers[0], answers[1], (kind, proof))


def prove(proofs: StepUp, principal: Principal, request: IRequest) -> None:
    """One check."""
    proofs.prove(request, principal, "an.operation")


def verified(accounts: SessionLookup, proofs: Proofs, browsers: Browsers, password: str, request: IRequest) -> Any:
    """The result for a retyped password."""
    outcome: list[Any] = []
    asking: Any = proofs.verify(accounts.signed_in(request), browsers.visitor(request), password=password)
    Deferred.fromCoroutine(asking).addBoth(outcome.append)
    return told(outcome[0])


def plain(answer: Any) -> Any:
    """A principal without ids, which differ."""
    if not isinstance(answer, Principal):
        return answer
    return answer.kind, answer.name, answer.scopes, answer.user_id is None, answer.session_id is None


def told(outcome: Any) -> Any:
    """A refusal as plain values."""
    return None if outcome is None else (outcome.value.status, outcome.value.error)


class TemporaryPasswordContract(AccountsContract):
    """The same while the member has a temporary password."""

    def setUp(self) -> None:
        super().setUp()
        for database in (self.door.database, self.world.database):
            with database.unit(), database.transaction() as connection:
                connection.execute("UPDATE users SET must_change_password = 1 WHERE username = 'grace'")
