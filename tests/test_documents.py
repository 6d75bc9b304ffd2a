"""docs/ says what the code does: its tables are compared with the code."""

import pkgutil
import re
from pathlib import Path
from types import ModuleType

from klein import Klein
from twisted.trial.unittest import SynchronousTestCase

import parachute_hub.accounts
import parachute_hub.oauth
from parachute_hub import settings
from parachute_hub.accounts.passkeys import challenges
from parachute_hub.accounts.sessions import csrf
from parachute_hub.accounts.sessions import policy as sessions
from parachute_hub.accounts.signin import phone_links, step_up
from parachute_hub.modules.definition import links, row_fields
from parachute_hub.modules.definition.model import Manifest, ServiceRow, SubUnit
from parachute_hub.modules.definition.mounts import RESERVED
from parachute_hub.modules.launch import configuration, environment
from parachute_hub.oauth.authorization import consents, scopes
from parachute_hub.oauth.clients import lookup
from parachute_hub.oauth.device import confirmations
from parachute_hub.oauth.device import policy as device_policy
from parachute_hub.oauth.tokens import (
    grant_policy,
    issuer,
    keys,
    minting,
    operator_token,
    settings_grants,
    token_service,
)
from parachute_hub.proxy import headers
from parachute_hub.proxy.plan import ModuleRequest, Planner
from parachute_hub.proxy.routes import Mount, Table
from parachute_hub.site import cookies
from parachute_hub.site.pages import CSRF_FIELD
from parachute_hub.supervise.limits import Timing
from parachute_hub.supervise.process import probe, process_tags
from tests.oauth.world import WorldCase
from tests.support import documents
from tests.support.documents import ROOT, named, rows, spoken
from tests.support.whole import whole

PROTOCOL, IDENTITY = "protocol.md", "identity.md"


def camel(name: str) -> str:
    """`display_name` as JSON has it: `displayName`."""
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


class SettingsTests(SynchronousTestCase):
    def test_every_variable_is_documented_and_every_documented_variable_exists(self) -> None:
        read = set(re.findall(r'"((?:PARACHUTE|BUN|NPM)_[A-Z_]*[A-Z]|PORT)"', Path(settings.__file__).read_text()))
        stated = set(named("operations.md", "| variable | meaning | default |"))
        patterns = {"PARACHUTE_ENV_<SHORT>_<NAME>", "BUN_CONFIG_*", "NPM_CONFIG_*"}
        # PARACHUTE_MODULE_CHANNEL is the older name of PARACHUTE_INSTALL_CHANNEL.
        self.assertEqual(stated - patterns, read - {"PARACHUTE_MODULE_CHANNEL"})


class ProtocolTests(SynchronousTestCase):
    """The tables of docs/protocol.md."""

    def test_fields_of_a_row(self) -> None:
        known = {camel(name) for name in ServiceRow.__annotations__} - {"raw"}
        table = named(PROTOCOL, "| field | required | value | decided by |")
        self.assertEqual(set(table), known)
        decided = {camel(name): by for name, by in row_fields.DECIDED_BY.items() if name != "raw"}
        self.assertEqual({name: row[3] for name, row in table.items()}, decided)

    def test_fields_of_a_part(self) -> None:
        page = (ROOT / "docs" / PROTOCOL).read_text().partition("An entry of `uis`")[2].partition("###")[0]
        cells = [line.split("|")[1] for line in page.splitlines() if line.startswith("| `")]
        documented = {name for cell in cells for name in documents.names(cell)}
        known = {name if name == "scopes_required" else camel(name) for name in SubUnit.__annotations__} - {"slug"}
        self.assertEqual(documented, known)

    def test_fields_of_a_manifest(self) -> None:
        page = (ROOT / "docs" / PROTOCOL).read_text().partition("## module.json")[2].partition("## Environment")[0]
        lines = [line for line in page.splitlines() if line.startswith("| `")]
        known = {camel(name) for name in Manifest.__annotations__} - {"raw"}
        self.assertEqual({documents.names(line)[0] for line in lines}, known)

    def test_segments_that_are_the_hubs_own(self) -> None:
        page = (ROOT / "docs" / PROTOCOL).read_text()
        sentence = page.partition("The hub's own first segments cannot be mounted:")[2].partition("\n\n")[0]
        self.assertEqual(set(documents.names(sentence.partition(". `/mcp`")[0])), RESERVED - {""})

    def test_environment_of_a_module(self) -> None:
        table = named(PROTOCOL, "| variable | value | |")
        given = settings.fold({}, {name: "x" for name in settings._PASSED_ON})
        around = environment.BaseEnvironment(
            home=Path("/home/hub"),
            user_home=Path("/home/ada"),
            issuer="https://hub.test",
            origins=("https://hub.test",),
            passed_on=given.passed_on,
            registry={},
            module_variables={},
        )
        found = environment.for_module(around, "clock", 4321, (), Path("/bun"))
        upper = {name for name in found if name.upper() not in found or name.isupper()}
        self.assertEqual(set(table), upper | {process_tags.VARIABLE})
        for name in found:
            changed = environment.for_module(around, "clock", 4321, ({name: "changed"},), Path("/bun"))
            fixed = table[name.upper()][2] == "fixed"
            self.assertEqual(changed[name] == found[name], fixed, f"{name} is {table[name.upper()][2]}")

    def test_environment_of_a_confined_module(self) -> None:
        changed = environment.inside({}, Path("/view"))
        self.assertEqual(set(named(PROTOCOL, "| variable of a confined module | value |")), set(changed))

    def test_lifecycle_numbers(self) -> None:
        timing = Timing()
        stated = {row[0]: row[1] for row in rows(PROTOCOL, "| what | value |")}
        expected = {
            "readiness is asked every": f"{timing.poll * 1000:g} ms for 3 s, then {timing.slow_poll * 1000:g} ms",
            "not ready after": f"{timing.late:g} s",
            "given up as unready after": f"{timing.unanswered:g} s",
            "liveness is asked every": (
                f"{timing.liveness_period:g} s; {timing.liveness_period * (1 + timing.spared):g} s while nobody uses "
                "the hub, until an answer is missed"
            ),
            "a health answer must come within": f"{timing.probe_timeout:g} s",
            "restarted after": f"{timing.misses} missing answers",
            "grace between SIGTERM and SIGKILL": f"{timing.stop_grace:g} s; {timing.hung_grace:g} s when",
            "all modules, when the hub stops": f"{timing.shutdown:g} s",
            "delay before a restart": (
                f"{timing.first_delay:g} s, doubled each time up to {timing.longest_delay:g} s, ±{timing.jitter:.0%}"
            ).replace("%", " %"),
            "crashes until it is parked": f"{timing.crashes} within {timing.window:g} s",
            "a parked module is tried again every": f"{timing.parked_retry:g} s",
            "crashes are forgotten after": f"{timing.stable:g} s",
        }
        self.assertEqual(set(stated), set(expected))
        for what, value in expected.items():
            self.assertTrue(stated[what].startswith(value), f"{what}: {stated[what]}, but the code has {value}")

    def _head(self, *lines: str) -> dict[str, str]:
        """The headers that a module gets for a request with these."""
        table = Table.build((Mount("notes", b"/notes", 2001),), ("hub.test",), "https://hub.test")
        raw = "\r\n".join(["GET /notes HTTP/1.1", "Host: hub.test", *lines]).encode()
        decision = Planner(hops=0, target_bytes=100).plan(table, "192.0.2.1", raw).decision
        assert isinstance(decision, ModuleRequest)
        sent = decision.head.decode().split("\r\n")[1:-2]
        return {name: value for name, _, value in (line.partition(": ") for line in sent)}

    def test_headers_added_to_a_request(self) -> None:
        self.assertEqual(set(named(PROTOCOL, "| header | value |")), set(self._head()) - {"Host"})

    def test_headers_removed_from_a_request(self) -> None:
        documented = named(PROTOCOL, "| removed from requests | |")
        for name in documented:
            sample = name.replace("*", "Sample")
            self.assertNotIn(sample, self._head(f"{sample}: claimed"), f"{name} reaches the module")
        stated = {name.lower().rstrip("*").encode() for name in documented}
        self.assertEqual({*headers._CLAIMS, *headers._SPOKEN_BY_HOPS} - stated, set())

    def test_headers_removed_from_a_response(self) -> None:
        stated = {name.lower().encode() for name in named(PROTOCOL, "| header of the module | what happens |")}
        self.assertEqual(
            {*headers._OVER_THE_ORIGIN, *headers._REDIRECTS, b"set-cookie", b"service-worker-allowed"}, stated
        )
        place = headers.ResponseRules(b"/notes", sandboxed=False)
        for name in headers._OVER_THE_ORIGIN:
            self.assertEqual(headers.response_lines([(name, b"x", name + b": x")], frozenset(), place), [])

    def test_answers_of_the_hub_in_a_modules_place(self) -> None:
        sources = " ".join(path.read_text() for path in (ROOT / "parachute_hub" / "proxy").glob("*.py"))
        plain = " ".join(sources.split()).replace("( ", "(")
        for status, error, _ in rows(PROTOCOL, "| status | `error` | when |"):
            self.assertIn(f'({status}, "{error.strip("`")}"', plain)

    def test_endpoints_that_the_hub_asks(self) -> None:
        stated = {name.rpartition(" ")[2] for name in named(PROTOCOL, "| endpoint | asked by | answer |")}
        source = Path(configuration.__file__).read_text() + Path(probe.__file__).read_text()
        asked = {*re.findall(r'"(/\.parachute/[a-z/]+)"', source), links.INFO, links.ICON, "<health>"}
        self.assertEqual(stated, asked)


class IdentityTests(WorldCase):
    """The tables of docs/identity.md."""

    def test_every_route_is_documented_and_every_documented_route_exists(self) -> None:
        page = (ROOT / "docs" / IDENTITY).read_text().partition("## Endpoints")[2].partition("## Connecting")[0]
        stated = {
            name for line in page.splitlines() if line.startswith("|") for name in documents.names(line.split("|")[1])
        }
        routes = {*_routes(parachute_hub.oauth), *_routes(parachute_hub.accounts)}
        self.assertEqual(
            stated, {route for route in routes if " /static/" not in route and " /admin/setup" not in route}
        )

    def test_claims_of_a_token(self) -> None:
        order = issuer.TokenRequest(
            subject="someone",
            client_id="app",
            scopes=("vault:default:read",),
            authority=scopes.Authority(every_vault="admin"),
            lifetime=60.0,
            created_via="cli_mint",
            permissions={"scoped_tags": ["work"]},
            claims={"auth_time": 1},
        )
        found = self.world.issuer.verify(self.world.do(self.world.issuer.mint, order).token)
        self.assertEqual(set(named(IDENTITY, "| claim | value |")), set(found.extra))

    def test_documented_lifetimes_are_the_codes(self) -> None:
        stated = {row[0]: row[1] for row in rows(IDENTITY, "| what | lasts |")}
        expected: dict[str, list[float]] = {
            "authorization code": [consents.CODE_LIFETIME],
            "device code": [device_policy.LIFETIME],
            "confirmation that the command waits for": [confirmations.LIFETIME],
            "access token": [token_service.ACCESS_LIFETIME],
            "refresh token": [token_service.REFRESH_LIFETIME],
            "a used refresh token begins another branch for": [grant_policy.SHARED_FOR],
            "minted token": [minting.DEFAULT_LIFETIME, minting.LONGEST_LIFETIME],
            "short token for a signed-in person": [minting.SHORT_LIFETIME],
            "token for a module's own settings page": [minting.PAGE_LIFETIME, settings_grants.LIFETIME],
            "operator token": [operator_token.LIFETIME, operator_token.RENEW_BEFORE],
            "service token": [60.0],
            "session": [sessions.ABSOLUTE, sessions.IDLE],
            "sign-in waiting for its second factor": [sessions.PENDING_LOGIN],
            "proof": [sessions.PROOF],
            "challenge for a passkey": [challenges.LIFETIME],
            "signing key": [keys.ROTATE_AFTER, keys.PUBLISH_AHEAD],
            "app that nobody approved or used": [lookup.UNVOUCHED_FOR],
        }
        self.assertEqual(set(stated), set(expected))
        for what, seconds in expected.items():
            for one in seconds:
                self.assertIn(spoken(one), stated[what], what)

    def test_documented_scopes_are_the_codes(self) -> None:
        stated = set(named(IDENTITY, "| scope | opens | who can have it |"))
        special = {f"vault:<name>:{verb}" for verb in ("read", "write", "admin")} | {
            "<module>:<verb>",
            "scopes.defines",
        }
        self.assertEqual(stated - special, {*scopes._WORDS, *scopes.NOT_REQUESTABLE})
        for row in rows(IDENTITY, "| scope | opens | who can have it |"):
            for name in documents.names(row[0]):
                if "<" not in name:
                    self.assertEqual(scopes.requestable(name), not row[2].endswith("never apps"), name)

    def test_documented_cookies_are_the_codes(self) -> None:
        stated = named(IDENTITY, "| cookie | holds | lasts |")
        lasts = {
            cookies.SESSION: sessions.ABSOLUTE,
            cookies.CSRF: sessions.CSRF_COOKIE,
            cookies.PENDING_LOGIN: sessions.PENDING_LOGIN,
            cookies.DEVICE: sessions.DEVICE,
            cookies.PHONE: 2 * phone_links.OPENS,
        }
        self.assertEqual({name: row[2] for name, row in stated.items()}, {name: spoken(s) for name, s in lasts.items()})

    def test_headers_and_fields_of_forms(self) -> None:
        page = (ROOT / "docs" / IDENTITY).read_text()
        for name in (csrf.HEADER, CSRF_FIELD, step_up.HEADER):
            self.assertIn(f"`{name}`", page)


def _routes(package: ModuleType) -> set[str]:
    """`METHOD /path` of every Klein area below a package. Spellings of one document for a resource count once."""
    found: set[str] = set()
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        for area in vars(whole(module.name)).values():
            app = vars(area).get("app") if isinstance(area, type) else None
            if not isinstance(app, Klein):
                continue
            for rule in app.url_map.iter_rules():
                path = rule.rule.replace("<path:", "<")
                if "/.well-known/" in path:
                    path = "/.well-known/" + path.partition("/.well-known/")[2].partition("/")[0]
                found.update(f"{method} {path}" for method in rule.methods or () if method not in ("HEAD", "OPTIONS"))
    return found
